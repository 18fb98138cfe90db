// What evaluation counts at the supervised labels of some samples. C codebooks. On the host.
#pragma once

#include <cstdint>
#include <vector>

#include "higgs/train/trainer.h"

namespace higgs {

struct Tally {
  explicit Tally(std::int64_t num_codebooks);

  std::int64_t samples = 0, tokens = 0;  // tokens: real positions, supervised or not
  double text = 0.0;                     // sum of losses, nats
  std::int64_t text_labels = 0;
  std::vector<double> losses;                           // [C] sums, nats
  std::vector<std::int64_t> audio_labels, top1, top10;  // [C]

  void add(const Tally& other);
  void reduce(Collective& ranks);  // sums over ranks
  // Losses and shares over all that was counted; 0 where nothing was. `step` and `seconds` are left 0.
  EvalMetrics metrics(const ObjectiveOptions& objective) const;
};

// One for each sample of `batch`, which lies on the CPU; its scores may lie on a device, and are waited for.
std::vector<Tally> tallies_of(const PackedBatch& batch, const BatchScores& scores);

}  // namespace higgs
