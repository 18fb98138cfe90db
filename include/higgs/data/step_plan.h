// How the samples of an optimizer step are split over ranks and micro-batches, so that all ranks have about
// as many tokens to compute. What a step computes doesn't depend on the split. Torch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "higgs/data/lengths.h"
#include "higgs/data/sampler.h"
#include "higgs/data/token_packer.h"

namespace higgs {

struct MicroBatch {
  std::vector<std::size_t> samples;  // indices into the data set
  std::vector<std::int64_t> places;  // of each in the step's order: dropout's masks follow from it
  bool replay = false;               // of the other data set: StepPlanner::add_replay()
};

struct StepPlan {
  // [world_size], each with at most grad_accum, heaviest first; then those of replay, if any.
  std::vector<std::vector<MicroBatch>> ranks;
  std::vector<std::int64_t> tokens;  // [world_size]

  // By how much the busiest rank is above the mean: 0.1 means that the others wait a tenth of the mean.
  double imbalance() const;
};

struct SplitOptions {
  std::int64_t batch_size = 1;  // samples of a micro-batch
  std::int64_t grad_accum = 1;  // micro-batches of a rank
  std::int64_t world_size = 1;
  std::int64_t tokens_per_batch =
      0;  // > 0: micro-batches of as many samples as have no more tokens than this
  std::int64_t batches_per_step() const { return grad_accum * world_size; }
  std::int64_t samples_per_step() const { return batch_size * batches_per_step(); }
};

// How long a run is, what it did before its origin included.
struct RunLength {
  std::int64_t samples = 0;  // drawn from the sampler's stream
  std::int64_t steps = 0;    // > 0: so many steps instead
};

// The step from which on steps are planned, and where the stream stood then.
struct StepOrigin {
  std::int64_t step = 0;
  StreamPlace place;
};

class StepPlanner {
 public:
  // `lengths`: tokens of each sample, none above tokens_per_batch. The run draws samples of the sampler's
  // stream, step after step; its last step may be smaller. A run whose steps were of another size before
  // `origin` goes on from there. `groups`: Sampler's.
  StepPlanner(Lengths lengths, std::uint64_t seed, const SplitOptions& options, const RunLength& length,
              StepOrigin origin = {}, const std::shared_ptr<const Groups>& groups = nullptr);

  // From now on every step has samples of another data set beside its own, so many that they are `share`
  // (0 .. 0.5) of all that the run has had: where steps are small, some have none. Their micro-batches are
  // made by the same limits. They are drawn in their own shuffled order, which goes on with the samples drawn
  // before a step, and take the places after the step's.
  void add_replay(Lengths lengths, std::uint64_t seed, double share);

  const StepOrigin& origin() const { return origin_; }
  // From the same origin, planners with the same text plan the same steps.
  std::string split_text() const;

  std::int64_t total_steps() const { return total_steps_; }
  // Samples drawn by the steps before this one, which must not lie before the origin; and where they leave
  // the stream.
  std::int64_t samples_before(std::int64_t step);
  StreamPlace place_before(std::int64_t step);
  // Each draw of the step once. Longest first, each to the rank with the fewest tokens that has room
  // (Graham's longest-processing-time rule, with a limit on the number), and the same within a rank; where
  // dealing them out in order happens to be better, that. With tokens_per_batch: the same with whole
  // micro-batches.
  StepPlan plan(std::int64_t step);
  // As they would be dealt out in order, a micro-batch to each rank in turn: for comparison.
  StepPlan plan_in_order(std::int64_t step);

 private:
  std::int64_t drawn_before(std::int64_t step) const;  // since the origin, without tokens_per_batch
  std::int64_t bins_before(std::int64_t step) const;   // likewise, with it
  std::vector<std::size_t> samples_of(std::int64_t step);
  StepPlan plan_own(std::int64_t step, bool balanced);
  StepPlan plan_bins(std::int64_t step, bool balanced);
  std::int64_t replayed_before(std::int64_t step);
  void append_replay(std::int64_t step, StepPlan& plan);
  std::vector<std::vector<std::int64_t>> deal(std::int64_t num_samples) const;
  StepPlan make_plan(const std::vector<std::size_t>& samples,
                     const std::vector<std::vector<std::int64_t>>& shares, bool balanced) const;

  Lengths lengths_;
  Sampler sampler_;
  SplitOptions options_;
  StepOrigin origin_;
  std::int64_t num_drawn_ = 0;         // from the origin on, without tokens_per_batch
  std::optional<TokenPacker> packer_;  // with it
  std::optional<std::int64_t> end_;    // of the stream
  struct Replay {
    Lengths lengths;
    Sampler sampler;
    double per_sample;  // samples of replay for each of the step's own
  };
  std::optional<Replay> replay_;
  std::int64_t num_bins_ = 0, total_steps_ = 0;
};

// Splits 0 .. lengths.size() - 1 into `parts` with about the same sum, at most `most` indices in each.
// Ascending within a part. `loads`: what each part has before; empty: nothing.
std::vector<std::vector<std::int64_t>> share_by_tokens(std::span<const std::int64_t> lengths,
                                                       std::int64_t parts, std::int64_t most,
                                                       std::vector<std::int64_t> loads = {});

}  // namespace higgs
