#include "higgs/model/answer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "higgs/base/error.h"
#include "higgs/data/dataset.h"
#include "higgs/model/special_ids.h"

namespace higgs {
namespace {

constexpr std::int64_t kTextTokens = 12;
constexpr std::int64_t kFrames = 4;

// Ids spread over the vocabulary and the codebooks; what they mean doesn't matter.
EncodedSample built_in_prompt(const ModelConfig& config, const SpecialIds& ids) {
  EncodedSample sample;
  for (std::int64_t i = 1; i <= kTextTokens; ++i) {
    const std::int64_t id = i * 7919 % config.vocab_size;
    if (id != ids.audio_out && id != ids.audio_in && id != ids.pad) sample.input_ids.push_back(id);
  }
  sample.input_ids.push_back(ids.audio_out);
  Codes clip{config.num_codebooks, kFrames, {}};
  for (std::int64_t k = 0; k < config.num_codebooks; ++k) {
    for (std::int64_t t = 0; t < kFrames; ++t) {
      clip.values.push_back(static_cast<std::int16_t>((k * 389 + t * 211 + 17) % ids.codebook_size));
    }
  }
  sample.codes.push_back(std::move(clip));
  return sample;
}

void add(const at::Tensor& a, const at::Tensor& b, AnswerDifference& result) {
  result.largest_logit = std::max(result.largest_logit, b.abs().max().item<double>());
  const double largest = (a - b).abs().max().item<double>();
  // A NaN compares as smaller than everything; it is the worst there is.
  result.largest_difference = std::max(
      result.largest_difference, std::isfinite(largest) ? largest : std::numeric_limits<double>::infinity());
}

}  // namespace

Answer answer_of(HiggsModel& model) {
  const at::NoGradGuard no_grad;
  const SpecialIds ids = special_ids(model.config());
  const EncodedSample sample = built_in_prompt(model.config(), ids);
  const EncodedSample* one = &sample;
  const PackedBatch batch = make_batch({&one, 1}, ids).to(model.device());
  ForwardOptions wide;
  wide.wide = true;
  const at::Tensor hidden = model.forward(batch, wide);
  Answer answer;
  if (model.has_text_head()) answer.text_logits = model.text_logits(hidden).to(at::kFloat);
  answer.audio_logits = model.audio_logits(hidden.index_select(0, batch.audio_out_rows)).to(at::kFloat);
  return answer;
}

AnswerDifference difference(const Answer& a, const Answer& b) {
  HIGGS_ASSERT(a.text_logits.defined() == b.text_logits.defined());
  AnswerDifference result;
  if (a.text_logits.defined()) add(a.text_logits, b.text_logits, result);
  add(a.audio_logits, b.audio_logits, result);
  const at::Tensor differing = a.audio_logits.argmax(-1).ne(b.audio_logits.argmax(-1));
  result.num_codes = differing.numel();
  result.num_differing_codes = differing.sum().item<std::int64_t>();
  return result;
}

}  // namespace higgs
