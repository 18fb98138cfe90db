// Loss and gradient of an optimizer step, over its micro-batches and all ranks, however much memory there is.
#pragma once

#include <cstdint>
#include <vector>

#include "higgs/data/batch_loader.h"
#include "higgs/dist/collective.h"
#include "higgs/model/adapter.h"
#include "higgs/train/objective.h"

namespace higgs {

struct GradientOptions {
  ObjectiveOptions objective;
  bool text_loss = true;
  std::uint64_t seed = 0;      // of dropout
  double replay_weight = 1.0;  // of the mean divergence from the base, beside the loss
};

// What a step's batches sum up to over all ranks.
struct StepSums {
  TargetCounts counts;
  LossMeter losses;  // on the device
  // The same of what is replayed (train/replay.h): divergences from the base.
  TargetCounts replay_counts;
  LossMeter replay;
};

class GradientComputer {
 public:
  GradientComputer(HiggsModel& model, Adapter& adapter, const SampleSource& samples, const SpecialIds& ids,
                   const GradientOptions& options, Collective& ranks);

  // The gradient is in the adapter's. `step` counts from 0. When memory runs out, the micro-batch at fault is
  // split and the step is computed anew: the same gradient, but for the order of sums. Micro-batches as large
  // as that are split beforehand from then on. RunError naming the manifest's line when one sample alone
  // doesn't fit.
  StepSums compute(std::int64_t step, std::vector<LoadedBatch> batches);

  std::int64_t num_splits() const { return num_splits_; }

 private:
  // What one label counts, and one that is replayed.
  struct Weights {
    LossWeights own, replay;
  };
  void forward_backward(const LoadedBatch& batch, const Weights& weights, const ForwardOptions& forward,
                        StepSums& sums);
  void run_all(std::int64_t step, const std::vector<LoadedBatch>& batches, StepSums& sums);
  // Splits batches[at]; RunError when it is a single sample.
  void split(std::int64_t step, std::vector<LoadedBatch>& batches, std::size_t at);

  HiggsModel& model_;
  Adapter& adapter_;
  SampleSource samples_;
  SpecialIds ids_;
  GradientOptions options_;
  Collective& ranks_;
  std::int64_t most_rows_;  // of a micro-batch; lowered when memory runs out
  std::int64_t num_splits_ = 0;
  std::size_t at_work_ = 0;  // the micro-batch being computed
};

}  // namespace higgs
