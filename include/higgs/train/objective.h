// The training objective: cross-entropy of the next text token and of the next frame, codebook by codebook,
// normalised over everything supervised in one optimizer step. C codebooks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "higgs/data/pack.h"
#include "higgs/dist/collective.h"
#include "higgs/model/higgs_model.h"
#include "higgs/train/head_loss.h"

namespace higgs {

struct ObjectiveOptions {
  double text_weight = 1.0;
  double audio_weight = 1.0;
  bool sum_codebooks = false;  // sum over codebooks, as transformers does, instead of their mean
  // [C], what each codebook counts for in that sum or mean; empty: all the same.
  std::vector<double> codebook_weights;
};

// How many labels an optimizer step supervises, over all its micro-batches and ranks.
struct TargetCounts {
  explicit TargetCounts(std::int64_t num_codebooks) : audio(static_cast<std::size_t>(num_codebooks), 0) {}

  std::int64_t text = 0;
  std::vector<std::int64_t> audio;  // [C]
  std::int64_t tokens = 0;          // real positions, supervised or not

  void add(const PackedBatch& batch);
  void reduce(Collective& ranks);  // sums over ranks
};

// Sums, not means, of cross-entropies in float32 on the model's device.
struct LossSums {
  at::Tensor text;   // scalar; zero without text head or text labels
  at::Tensor audio;  // [C]
};

// hidden: [N, D] of the batch. Heads run at supervised rows only.
LossSums loss_sums(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                   bool with_text);

// text_weight * text / count + audio_weight * mean (or sum), weighted, over codebooks of audio_k / count_k; a
// term without any label is zero.
at::Tensor total_loss(const LossSums& sums, const TargetCounts& counts, const ObjectiveOptions& options);

// What one label counts in the total loss: float32 on the device.
struct LossWeights {
  at::Tensor text;   // [1]
  at::Tensor audio;  // [C]
};
LossWeights loss_weights(const TargetCounts& counts, const ObjectiveOptions& options, at::Device device);

// Sums and their total, with no more of the logits at a time than fits (train/head_loss.h).
struct BatchLoss {
  at::Tensor total;  // scalar; differentiable in `hidden`
  LossSums sums;
};
// hidden: [L, D] at the batch's target rows (ForwardOptions::only_targets).
BatchLoss batch_loss(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                     const LossWeights& weights, bool with_text);

// Each target of a batch by itself, in the order of its target rows.
struct BatchScores {
  at::Tensor text;   // float32 [T]: losses; undefined without text loss or targets
  HeadScores audio;  // [S, C]
};
// hidden: as batch_loss().
BatchScores batch_scores(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                         bool with_text);

// The same on numbers.
struct LossValues {
  double total = 0.0, text = 0.0, audio = 0.0;  // audio: mean (or sum) over codebooks
  std::vector<double> codebooks;                // [C]

  // What decides which model is better: where no audio is to be learnt, the text.
  double deciding() const { return audio > 0.0 ? audio : total; }
};

// `sums`: [1 + C] as LossMeter::sums(), on the host.
LossValues loss_values(const double* sums, const TargetCounts& counts, const ObjectiveOptions& options);

// Adds up sums of micro-batches and divides at the end.
class LossMeter {
 public:
  explicit LossMeter(std::int64_t num_codebooks, at::Device device = at::kCPU);  // the sums' device
  void reduce(Collective& ranks);                                                // sums over ranks
  void add(const LossSums& sums);
  LossValues values(const TargetCounts& counts, const ObjectiveOptions& options) const;
  const at::Tensor& sums() const { return sums_; }  // float64 [1 + C]: text, then each codebook

 private:
  at::Tensor sums_;
};

}  // namespace higgs
