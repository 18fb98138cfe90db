// CUDA twin of cross_entropy_cpu.cpp: a block a row.
#include "device.cuh"

namespace higgs {
namespace kernels {
namespace {

template <typename T>
__global__ void __launch_bounds__(kThreads) cross_entropy(CrossEntropyArgs a) {
  for (std::int64_t i = blockIdx.x; i < a.num_rows; i += gridDim.x) {
    T* logits = static_cast<T*>(a.logits) + i * a.num_classes;
    const std::int64_t target = a.targets[i];
    if (target < 0) {
      if (threadIdx.x == 0) {
        a.losses[i] = 0.0f;
        if (a.correct != nullptr) a.correct[i] = 0;
      }
      for (std::int64_t j = threadIdx.x; a.with_gradient && j < a.num_classes; j += kThreads) {
        logits[j] = narrow<T>(0.0f);
      }
      continue;
    }
    float largest = -INFINITY;
    for (std::int64_t j = threadIdx.x; j < a.num_classes; j += kThreads) {
      largest = Largest::join(largest, widen(logits[j]));
    }
    largest = over_block<Largest>(largest);
    float sum = 0.0f, earlier = 0.0f;  // earlier: a class before the target that is as likely
    for (std::int64_t j = threadIdx.x; j < a.num_classes; j += kThreads) {
      const float logit = widen(logits[j]);
      sum += expf(logit - largest);
      if (j < target && logit == largest) earlier = 1.0f;
    }
    sum = over_block<Sum>(sum);
    earlier = over_block<Sum>(earlier);
    const float at_target = widen(logits[target]);
    if (threadIdx.x == 0) {
      a.losses[i] = logf(sum) + largest - at_target;
      if (a.correct != nullptr) a.correct[i] = at_target == largest && earlier == 0.0f ? 1 : 0;
    }
    __syncthreads();  // all have read the target's logit before one overwrites it
    if (!a.with_gradient) continue;
    const float weight = a.weights[i % a.num_groups];
    for (std::int64_t j = threadIdx.x; j < a.num_classes; j += kThreads) {
      const float share = expf(widen(logits[j]) - largest) / sum;
      logits[j] = narrow<T>(weight * (j == target ? share - 1.0f : share));
    }
  }
}

}  // namespace

int cross_entropy_cuda(const CrossEntropyArgs& a, void* stream) {
  if (a.num_rows == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  const auto blocks = static_cast<unsigned>(a.num_rows < 65535 ? a.num_rows : 65535);
  if (a.bf16) {
    cross_entropy<__nv_bfloat16><<<blocks, kThreads, 0, on>>>(a);
  } else {
    cross_entropy<float><<<blocks, kThreads, 0, on>>>(a);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
