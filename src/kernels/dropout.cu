// CUDA twin of dropout.cpp: one thread per four features.
#include <cuda_runtime.h>

#include <cstdint>

#include "higgs/kernels/philox.h"

namespace higgs {
namespace kernels {
namespace {

__global__ void dropout_kernel(const float* in, float* out, std::int64_t num_rows, std::int64_t num_features,
                               std::int64_t quads_per_row, std::uint32_t threshold, float scale,
                               std::uint64_t key, const std::int32_t* sample, const std::int32_t* position) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < num_rows * quads_per_row; i += stride) {
    const std::int64_t row = i / quads_per_row;
    const std::int64_t quad = i % quads_per_row;
    const Philox4 words =
        philox4x32({{static_cast<std::uint32_t>(quad), static_cast<std::uint32_t>(position[row]),
                     static_cast<std::uint32_t>(sample[row]), 0u}},
                   key);
    const std::int64_t first = row * num_features + quad * 4;
    for (int lane = 0; lane < 4 && quad * 4 + lane < num_features; ++lane) {
      out[first + lane] = words.word[lane] < threshold ? 0.0f : in[first + lane] * scale;
    }
  }
}

}  // namespace

std::uint32_t dropout_threshold(double p);

int dropout_cuda(const float* in, float* out, std::int64_t num_rows, std::int64_t num_features, double p,
                 std::uint64_t key, const std::int32_t* sample, const std::int32_t* position, void* stream) {
  const std::int64_t quads_per_row = (num_features + 3) / 4;
  const std::int64_t work = num_rows * quads_per_row;
  if (work == 0) return 0;
  constexpr int kThreads = 256;
  const std::int64_t wanted = (work + kThreads - 1) / kThreads;
  const int blocks = static_cast<int>(wanted < 65535 ? wanted : 65535);
  dropout_kernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      in, out, num_rows, num_features, quads_per_row, dropout_threshold(p),
      static_cast<float>(1.0 / (1.0 - p)), key, sample, position);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
