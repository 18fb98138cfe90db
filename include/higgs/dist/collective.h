// What the ranks of a run do together: Gloo carries tensors in host memory, NCCL those on GPUs. One process
// alone needs nothing of it: every call is then a no-op.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "higgs/base/error.h"
#include "higgs/dist/launch.h"

namespace higgs {

// A collective failed since another rank has gone; that rank's own failure is the one to report.
class LostRank : public RunError {
 public:
  using RunError::RunError;
};

class Collective {
 public:
  // Joins the others; RunError when they don't come within `timeout_seconds`, naming them. A rank that then
  // makes no progress for so long while others wait for it ends the job (watch.h).
  Collective(const LaunchInfo& launch, std::int64_t timeout_seconds);
  ~Collective();  // leaves; call barrier() before where the others may still need this rank
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;

  int rank() const { return launch_.rank; }
  int world_size() const { return launch_.world_size; }
  const LaunchInfo& launch() const { return launch_; }

  // Before the first sum() of a tensor on a GPU: makes the NCCL communicator and tries it.
  void use_device(at::Device device);

  // Replaces `tensor` by its sum over ranks, the same bits on each. On a GPU it returns before the sum is
  // there, as any operation; host memory needs no use_device().
  void sum(at::Tensor& tensor);
  // Replaces `tensor` by rank 0's. Any device; goes through host memory.
  void broadcast(at::Tensor& tensor);
  std::string broadcast(std::string text);
  // The first rank whose hash (Hasher::hex()) isn't rank 0's; the same answer on all.
  std::optional<int> first_unlike_zero(const std::string& hash);
  void barrier();
  // True on all when it is on one.
  bool any(bool flag);
  // 0, 1, 2, ...: each number goes to one rank only. Not ordered with anything else.
  std::int64_t take_next(const std::string& counter);

  // Text that one rank leaves for others, who may look it up when a barrier lies between.
  void publish(const std::string& key, const std::string& text);
  std::string published(const std::string& key);

  // For the watch: see watch.h. Waiting for others is noted by the collectives themselves.
  void at(std::int64_t step, const char* phase);
  void progress();
  // Ends the job (watch.h). With one process there is nothing to end: throws RunError.
  [[noreturn]] void fail(int exit_code, const std::string& text, bool secondary);

 private:
  struct Impl;
  template <typename Work>
  void together(const char* what, const Work& work);
  LaunchInfo launch_;
  std::unique_ptr<Impl> impl_;                 // null for one process
  std::map<std::string, std::int64_t> alone_;  // its counters then
};

}  // namespace higgs
