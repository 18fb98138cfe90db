// The batches of a rank, step after step, collated and packed ahead of time on loader threads and copied to
// the device beside its computation.
#pragma once

#include <c10/core/Event.h>

#include "higgs/data/dataset.h"
#include "higgs/data/prefetch.h"
#include "higgs/data/step_plan.h"

namespace higgs {

struct LoadedBatch {
  PackedBatch packed;  // on the device
  MicroBatch micro;    // the samples in it
};

struct LoadedStep {
  std::vector<LoadedBatch> batches;  // this rank's; may be none
  double imbalance = 0.0;            // StepPlan::imbalance()
};

inline constexpr std::size_t kMostAheadOnDevice = std::size_t{256} << 20;

// Where the samples of micro-batches are.
class SampleSource {
 public:
  // Keeps references; `replay` may be the training samples, or null without replay.
  SampleSource(const Dataset& training,  // NOLINT(google-explicit-constructor): without replay it is these
               const Dataset* replay = nullptr)
      : training_(&training), replay_(replay) {}
  const Dataset* replay() const { return replay_; }
  const Dataset& of(const MicroBatch& micro) const { return micro.replay ? *replay_ : *training_; }

 private:
  const Dataset *training_, *replay_;
};

class BatchLoader {
 public:
  // Keeps references to the data sets. Steps follow from `first_step` on, to the planner's last. Batches
  // ahead lie in the device's memory: on a device that isn't the CPU, at most kMostAheadOnDevice bytes of
  // them.
  BatchLoader(const SampleSource& samples, const SpecialIds& ids, const StepPlanner& planner, int rank,
              at::Device device, const PrefetchOptions& options, std::int64_t first_step);

  // What a loader thread threw (a clip that has vanished, say) comes out here.
  LoadedStep next();
  double waited_seconds() const { return prefetcher_.waited_seconds(); }

 private:
  struct Job {
    std::optional<MicroBatch> micro;  // none: this rank has no sample in the step
    double imbalance = 0.0;           // of the step
    bool ends_step = false;
  };
  struct Loaded {
    std::optional<PackedBatch> batch;
    MicroBatch micro;
    std::optional<c10::Event> ready;  // on a device: when its copy is there
    double imbalance = 0.0;
    bool ends_step = false;
  };
  std::optional<Job> next_job();
  Loaded make(const Job& job) const;

  SampleSource samples_;
  SpecialIds ids_;
  // Used by the loader threads, one at a time:
  StepPlanner planner_;
  std::int64_t planned_step_;
  std::vector<Job> planned_;  // what is left of that step, last first
  int rank_;
  at::Device device_;
  std::optional<c10::Stream> copies_;   // where batches are copied to the device, by all loader threads
  Prefetcher<Job, Loaded> prefetcher_;  // last: its threads use what stands above
};

// The batch of a micro-batch's samples, on the CPU; places may be left out.
PackedBatch make_batch(const Dataset& dataset, const MicroBatch& micro, const SpecialIds& ids);

// Host memory that a process may fill with batches ahead of their use: a fiftieth of what is free or, if that
// is less, of what the process's cgroups allow, shared out among the machine's processes, between 64 MiB and
// 2 GiB. `root`: where /proc and /sys are.
std::size_t default_prefetch_bytes(int num_local_processes, const fs::path& root = "/");

}  // namespace higgs
