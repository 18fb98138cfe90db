// Numbers on their way from the device to the host while the device works on.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <optional>

namespace higgs {

class HostCopy {
 public:
  // Queues the copy of a float64 tensor; on the CPU it is one.
  explicit HostCopy(const at::Tensor& values);
  // Waits for the copy. Valid as long as this lives.
  const double* wait();

 private:
  at::Tensor host_;
  std::optional<c10::Event> copied_;
};

}  // namespace higgs
