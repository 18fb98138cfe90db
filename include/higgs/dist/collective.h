// What the ranks of a run do together. One process alone needs nothing of it: every call is then a no-op.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "higgs/dist/launch.h"

namespace higgs {

class Collective {
 public:
  // Joins the others; RunError when they don't come within `timeout_seconds`.
  Collective(const LaunchInfo& launch, std::int64_t timeout_seconds);
  ~Collective();
  Collective(const Collective&) = delete;
  Collective& operator=(const Collective&) = delete;

  int rank() const { return launch_.rank; }
  int world_size() const { return launch_.world_size; }

  // Replaces `tensor` by its sum over ranks. Any device; a device's tensor goes through host memory.
  void sum(at::Tensor& tensor);
  void barrier();

 private:
  struct Impl;
  LaunchInfo launch_;
  std::unique_ptr<Impl> impl_;  // null for one process
};

}  // namespace higgs
