// What the CUDA kernels share: values stored as float or bfloat16, sums over a block, launches.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "args.h"

namespace higgs {
namespace kernels {

__device__ inline float widen(float value) {
  return value;
}
__device__ inline float widen(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <typename T>
__device__ inline T narrow(float value);
template <>
__device__ inline float narrow<float>(float value) {
  return value;
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
// Rounded to T and widened again: where the composition of torch's operators rounds.
template <typename T>
__device__ inline float rounded(float value) {
  return widen(narrow<T>(value));
}

constexpr int kThreads = 256;

struct Sum {
  static __device__ float of_nothing() { return 0.0f; }
  static __device__ float join(float a, float b) { return a + b; }
};
struct Largest {
  static __device__ float of_nothing() { return -INFINITY; }
  static __device__ float join(float a, float b) { return (a != a || a > b) ? a : b; }
};

// `value` of all threads of the block joined, in a fixed order; every thread gets it.
template <typename Join>
__device__ inline float over_block(float value) {
  __shared__ float parts[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value = Join::join(value, __shfl_xor_sync(0xFFFFFFFFu, value, offset));
  }
  __syncthreads();  // of the call before
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = Join::of_nothing();
  for (int i = 0; i < kThreads / 32; ++i) value = Join::join(value, parts[i]);
  return value;
}

// Blocks for `work` items, each thread taking several where there are very many.
inline unsigned blocks_for(std::int64_t work) {
  const std::int64_t wanted = (work + kThreads - 1) / kThreads;
  return static_cast<unsigned>(wanted < 65535 ? wanted : 65535);
}

__device__ inline std::int64_t first_item() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t item_stride() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace kernels
}  // namespace higgs
