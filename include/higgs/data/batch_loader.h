// The batches of a rank, step after step, collated and packed ahead of time on loader threads and copied to
// the device beside its computation.
#pragma once

#include <c10/core/Event.h>

#include "higgs/data/dataset.h"
#include "higgs/data/prefetch.h"
#include "higgs/data/step_plan.h"

namespace higgs {

struct LoadedStep {
  std::vector<PackedBatch> batches;  // this rank's, on the device; may be none
  double imbalance = 0.0;            // StepPlan::imbalance()
};

class BatchLoader {
 public:
  // Keeps a reference to `dataset`. Steps follow from `first_step` on, to the planner's last.
  BatchLoader(const Dataset& dataset, const SpecialIds& ids, const StepPlanner& planner, int rank,
              at::Device device, const PrefetchOptions& options, std::int64_t first_step);

  // What a loader thread threw (a clip that has vanished, say) comes out here.
  LoadedStep next();
  double waited_seconds() const { return prefetcher_.waited_seconds(); }

 private:
  struct Loaded {
    PackedBatch batch;
    std::optional<c10::Event> ready;  // on a device: when its copy is there
  };
  std::optional<MicroBatch> next_job();
  Loaded make(const MicroBatch& job) const;

  const Dataset& dataset_;
  SpecialIds ids_;
  StepPlanner reader_, planner_;  // of the training thread, and of the loader threads
  int rank_;
  at::Device device_;
  std::int64_t next_step_;                     // of next()
  std::int64_t planned_step_;                  // of the loader threads
  std::vector<MicroBatch> planned_;            // what is left of that step, last first
  Prefetcher<MicroBatch, Loaded> prefetcher_;  // last: its threads use what stands above
};

// The batch of a micro-batch's samples, on the CPU.
PackedBatch make_batch(const Dataset& dataset, const MicroBatch& micro, const SpecialIds& ids);

// Host memory that a process may fill with batches ahead of their use: a fiftieth of what is free, shared out
// among the machine's processes, between 64 MiB and 2 GiB.
std::size_t default_prefetch_bytes(int num_local_processes);

}  // namespace higgs
