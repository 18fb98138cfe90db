// Whether two models say the same: logits and most likely codes on a short prompt that is built in.
#pragma once

#include <ATen/core/Tensor.h>

#include "higgs/model/higgs_model.h"

namespace higgs {

// What a model says to the built-in prompt: some text, then a clip of a few frames. Activations are float32,
// whatever type the weights are in: two models then differ by their weights alone.
struct Answer {
  at::Tensor text_logits;   // float32 [N, V]; undefined without text head
  at::Tensor audio_logits;  // float32 [M, C, K] at the clip's columns
};
Answer answer_of(HiggsModel& model);

struct AnswerDifference {
  double largest_logit = 0.0, largest_difference = 0.0;
  std::int64_t num_codes = 0, num_differing_codes = 0;  // most likely ones, at each column and codebook
  double relative() const { return largest_difference / (largest_logit > 0.0 ? largest_logit : 1.0); }
};
AnswerDifference difference(const Answer& a, const Answer& b);

}  // namespace higgs
