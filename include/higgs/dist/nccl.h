// Sums over GPUs by NCCL. The library comes with LibTorch's CUDA half and is opened with it, so that a start
// without a GPU stays cheap: that is why this isn't c10d's ProcessGroupNCCL, which would have to be linked.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

namespace higgs {

class Nccl {
 public:
  // Bytes that rank 0 makes and every rank needs. RunError when this build or machine has no NCCL.
  static std::string make_id();
  // Blocks until all ranks are here. `device`: this rank's GPU. RunError.
  Nccl(const std::string& id, int rank, int world_size, at::Device device);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  // In place, on LibTorch's default stream. float32, float64, bfloat16, int64; contiguous. RunError.
  void sum(at::Tensor& tensor);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace higgs
