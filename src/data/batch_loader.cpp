#include "higgs/data/batch_loader.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace higgs {
namespace {

PrefetchOptions within_device(PrefetchOptions options, at::Device device) {
  if (!device.is_cpu()) options.max_bytes = std::min(options.max_bytes, kMostAheadOnDevice);
  return options;
}

// One stream for all copies: LibTorch keeps the memory of each stream apart.
std::optional<c10::Stream> stream_for_copies(at::Device device) {
  if (device.is_cpu()) return std::nullopt;
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

}  // namespace

PackedBatch make_batch(const Dataset& dataset, const MicroBatch& micro, const SpecialIds& ids) {
  std::vector<EncodedSample> samples;
  std::vector<const EncodedSample*> pointers;
  for (const std::size_t i : micro.samples) samples.push_back(dataset.sample(i));
  for (const EncodedSample& sample : samples) pointers.push_back(&sample);
  return make_batch(pointers, ids, micro.places);
}

BatchLoader::BatchLoader(const SampleSource& samples, const SpecialIds& ids, const StepPlanner& planner,
                         int rank, at::Device device, const PrefetchOptions& options, std::int64_t first_step)
    : samples_(samples),
      ids_(ids),
      planner_(planner),
      planned_step_(first_step),
      rank_(rank),
      device_(device),
      copies_(stream_for_copies(device)),
      prefetcher_(
          within_device(options, device), [this] { return next_job(); },
          [this](const Job& job) { return make(job); },
          [](const Loaded& loaded) { return loaded.batch ? loaded.batch->num_bytes() : 0; }) {}

std::optional<BatchLoader::Job> BatchLoader::next_job() {
  if (planned_.empty()) {
    if (planned_step_ >= planner_.total_steps()) return std::nullopt;
    StepPlan plan = planner_.plan(planned_step_++);
    for (MicroBatch& micro : plan.ranks[static_cast<std::size_t>(rank_)]) {
      planned_.push_back({std::move(micro), plan.imbalance(), false});
    }
    if (planned_.empty()) planned_.push_back({std::nullopt, plan.imbalance(), false});
    planned_.back().ends_step = true;
    std::reverse(planned_.begin(), planned_.end());
  }
  Job job = std::move(planned_.back());
  planned_.pop_back();
  return job;
}

BatchLoader::Loaded BatchLoader::make(const Job& job) const {
  Loaded loaded;
  loaded.imbalance = job.imbalance;
  loaded.ends_step = job.ends_step;
  if (!job.micro) return loaded;
  loaded.micro = *job.micro;
  loaded.batch = make_batch(samples_.of(*job.micro), *job.micro, ids_);
  if (device_.is_cpu()) return loaded;
  // From pinned memory on a stream of its own: the copy runs beside the computation. The pinned memory goes
  // back to LibTorch's pool, which waits for the copy before it gives it away again.
  const c10::StreamGuard guard(*copies_);
  loaded.batch = loaded.batch->pinned().to(device_, /*non_blocking=*/true);
  loaded.ready.emplace(device_.type());
  loaded.ready->record(*copies_);
  return loaded;
}

LoadedStep BatchLoader::next() {
  LoadedStep step;
  for (bool ends = false; !ends;) {
    Loaded loaded = prefetcher_.next();
    ends = loaded.ends_step;
    step.imbalance = loaded.imbalance;
    if (!loaded.batch) continue;
    if (loaded.ready) {
      const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
      loaded.ready->block(current);
      loaded.batch->used_on(current);
    }
    step.batches.push_back({std::move(*loaded.batch), std::move(loaded.micro)});
  }
  return step;
}

namespace {

// The number at the start of a file; nothing where there is no such file, or a word.
std::optional<std::size_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// The smallest memory limit of the cgroups that this process is in, of either version.
std::size_t cgroup_limit(const fs::path& root) {
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // number:controllers:path
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool old = controllers == "memory";
    if (!old && !controllers.empty()) continue;
    const fs::path base = root / (old ? "sys/fs/cgroup/memory" : "sys/fs/cgroup");
    const char* const name = old ? "memory.limit_in_bytes" : "memory.max";
    for (fs::path group = fs::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
      limit = std::min(limit, number_in(base / group / name).value_or(limit));
      if (group.empty()) break;
    }
  }
  return limit;
}

}  // namespace

std::size_t default_prefetch_bytes(int num_local_processes, const fs::path& root) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  std::size_t available = 4096 * kMiB;
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("MemAvailable:", 0) == 0) available = std::strtoull(line.c_str() + 13, nullptr, 10) * 1024;
  }
  available = std::min(available, cgroup_limit(root));
  const std::size_t share = available / 50 / static_cast<std::size_t>(std::max(1, num_local_processes));
  return std::clamp(share, 64 * kMiB, 2048 * kMiB);
}

}  // namespace higgs
