// CUDA twin of dropout_cpu.cpp: a thread for the eight features of a counter.
#include "device.cuh"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace kernels {
namespace {

template <typename T>
__global__ void __launch_bounds__(kThreads) dropout(DropoutArgs a) {
  const std::int64_t counters = (a.num_features + 7) / 8, count = a.num_rows * counters;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t row = i / counters, counter = i % counters;
    const Philox4 words =
        philox4x32({{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(a.position[row]),
                     static_cast<std::uint32_t>(a.sample[row]), 0u}},
                   a.key);
    const std::int64_t first = row * a.num_features + counter * 8;
    for (int j = 0; j < 8 && counter * 8 + j < a.num_features; ++j) {
      const std::uint32_t bits = (words.word[j / 2] >> (j % 2 * 16)) & 0xFFFFu;
      const float value = bits < a.threshold ? 0.0f : a.in[first + j] * a.scale;
      if (a.sum == nullptr) {
        a.out[first + j] = value;
      } else {
        T& sum = static_cast<T*>(a.sum)[first + j];
        sum = narrow<T>(widen(sum) + rounded<T>(value));
      }
    }
  }
}

}  // namespace

int dropout_cuda(const DropoutArgs& a, void* stream) {
  const std::int64_t work = a.num_rows * ((a.num_features + 7) / 8);
  if (work == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  if (a.bf16) {
    dropout<__nv_bfloat16><<<blocks_for(work), kThreads, 0, on>>>(a);
  } else {
    dropout<float><<<blocks_for(work), kThreads, 0, on>>>(a);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
