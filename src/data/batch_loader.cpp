#include "higgs/data/batch_loader.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <fstream>

namespace higgs {

PackedBatch make_batch(const Dataset& dataset, const MicroBatch& micro, const SpecialIds& ids) {
  std::vector<const EncodedSample*> samples;
  for (const std::size_t i : micro.samples) samples.push_back(&dataset.sample(i));
  return make_batch(samples, ids, micro.places);
}

BatchLoader::BatchLoader(const Dataset& dataset, const SpecialIds& ids, const StepPlanner& planner, int rank,
                         at::Device device, const PrefetchOptions& options, std::int64_t first_step)
    : dataset_(dataset),
      ids_(ids),
      reader_(planner),
      planner_(planner),
      rank_(rank),
      device_(device),
      next_step_(first_step),
      planned_step_(first_step),
      prefetcher_(
          options, [this] { return next_job(); }, [this](const MicroBatch& job) { return make(job); },
          [](const Loaded& loaded) { return loaded.batch.num_bytes(); }) {}

std::optional<MicroBatch> BatchLoader::next_job() {
  while (planned_.empty()) {
    if (planned_step_ == planner_.total_steps()) return std::nullopt;
    planned_ = std::move(planner_.plan(planned_step_++).ranks[static_cast<std::size_t>(rank_)]);
    std::reverse(planned_.begin(), planned_.end());
  }
  MicroBatch job = std::move(planned_.back());
  planned_.pop_back();
  return job;
}

BatchLoader::Loaded BatchLoader::make(const MicroBatch& job) const {
  const PackedBatch batch = make_batch(dataset_, job, ids_);
  if (device_.is_cpu()) return {batch, std::nullopt};
  // From pinned memory on a stream of its own: the copy runs beside the computation. The pinned memory goes
  // back to LibTorch's pool, which waits for the copy before it gives it away again.
  const c10::impl::VirtualGuardImpl device(device_.type());
  const c10::Stream stream = device.getStreamFromGlobalPool(device_);
  const c10::StreamGuard guard(stream);
  Loaded loaded{batch.pinned().to(device_, /*non_blocking=*/true), c10::Event(device_.type())};
  loaded.ready->record(stream);
  return loaded;
}

LoadedStep BatchLoader::next() {
  const StepPlan plan = reader_.plan(next_step_++);
  LoadedStep step;
  step.imbalance = plan.imbalance();
  for (std::size_t i = 0; i < plan.ranks[static_cast<std::size_t>(rank_)].size(); ++i) {
    Loaded loaded = prefetcher_.next();
    if (loaded.ready) {
      const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
      loaded.ready->block(current);
      loaded.batch.used_on(current);
    }
    step.batches.push_back(std::move(loaded.batch));
  }
  return step;
}

std::size_t default_prefetch_bytes(int num_local_processes) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  std::size_t available = 4096 * kMiB;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("MemAvailable:", 0) == 0) available = std::strtoull(line.c_str() + 13, nullptr, 10) * 1024;
  }
  const std::size_t share = available / 50 / static_cast<std::size_t>(std::max(1, num_local_processes));
  return std::clamp(share, 64 * kMiB, 2048 * kMiB);
}

}  // namespace higgs
