// CUDA twin of snake_cpu.cpp: a thread a value.
#include "device.cuh"

namespace higgs {
namespace kernels {
namespace {

__global__ void __launch_bounds__(kThreads) snake(SnakeArgs a) {
  const std::int64_t count = a.num_rows * a.num_steps;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t channel = i / a.num_steps % a.num_channels;
    const float s = sinf(a.alpha[channel] * a.x[i]);
    a.y[i] = a.x[i] + a.reciprocal[channel] * (s * s);
  }
}

}  // namespace

int snake_cuda(const SnakeArgs& a, void* stream) {
  const std::int64_t work = a.num_rows * a.num_steps;
  if (work == 0) return 0;
  snake<<<blocks_for(work), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(a);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
