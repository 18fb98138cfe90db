// Whether training and generation compute the same thing: logits of the packed forward that training runs
// against those of the cached forward that generation runs, prompt first and then row by row.
#pragma once

#include <string>

#include "higgs/model/higgs_model.h"

namespace higgs {

// One head's logits, compared.
struct HeadAgreement {
  std::int64_t num_choices = 0;     // rows (of the audio head: rows times codebooks) with logits of their own
  double largest_difference = 0.0;  // of any logit
  double rms_difference = 0.0;      // root of the mean square
  double largest_logit = 0.0;       // by absolute value
  double standard_deviation = 0.0;  // of all logits
  double equal_argmax = 1.0;        // share of the choices whose most likely id is the same
};

struct Agreement {
  bool exact = true;  // computed in float32: only the order of sums may differ
  std::int64_t num_positions = 0;
  HeadAgreement text, audio;  // text logits at text rows, audio logits at frames

  // Exact: differences up to 1e-4 of the largest logit. Else: as far as bf16's rounding goes, see the source.
  bool holds() const;
  std::string summary() const;  // one line for a log or an error
};

// On one sample of `batch` (the first that speaks, else the first), at no more than `max_positions` of its
// positions. The adapter takes part, dropout doesn't. `wide`: activations in float32 whatever the model's
// dtype, which makes the comparison exact.
Agreement compare_forwards(HiggsModel& model, const PackedBatch& batch, bool wide,
                           std::int64_t max_positions = 32);

}  // namespace higgs
