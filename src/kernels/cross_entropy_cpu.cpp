#include "args.h"
#include "cpu.h"

namespace higgs::kernels {
namespace {

// Sum of e^(logits - largest). In float within a block, so that a vocabulary's worth of terms loses nothing.
template <typename T>
HIGGS_INLINE float sum_of_exp(const T* logits, std::int64_t count, float largest) {
  constexpr std::int64_t kBlock = 1024;
  double total = 0.0;
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t end = count - first < kBlock ? count : first + kBlock;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = first; j < end; ++j) sum += exp_fast(widen(logits[j]) - largest);
    total += static_cast<double>(sum);
  }
  return static_cast<float>(total);
}

template <typename T>
struct CrossEntropy {
  const CrossEntropyArgs& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const std::int64_t K = a.num_classes;
    for (std::int64_t i = begin; i < end; ++i) {
      T* logits = static_cast<T*>(a.logits) + i * K;
      const std::int64_t target = a.targets[i];
      if (target < 0) {
        a.losses[i] = 0.0f;
        if (a.correct != nullptr) a.correct[i] = 0;
        if (!a.with_gradient) continue;
        for (std::int64_t j = 0; j < K; ++j) logits[j] = narrow<T>(0.0f);
        continue;
      }
      float largest = widen(logits[0]);
#pragma omp simd reduction(max : largest)
      for (std::int64_t j = 0; j < K; ++j) largest = widen(logits[j]) > largest ? widen(logits[j]) : largest;
      const float sum = sum_of_exp(logits, K, largest);
      const float at_target = widen(logits[target]);
      a.losses[i] = __builtin_logf(sum) + largest - at_target;
      if (a.correct != nullptr) {
        bool first = at_target == largest;
        for (std::int64_t j = 0; j < target && first; ++j) first = widen(logits[j]) != largest;
        a.correct[i] = first ? 1 : 0;
      }
      if (!a.with_gradient) continue;
      const float weight = a.weights[i % a.num_groups], scale = weight / sum;
#pragma omp simd
      for (std::int64_t j = 0; j < K; ++j) {
        logits[j] = narrow<T>(scale * exp_fast(widen(logits[j]) - largest));
      }
      logits[target] = narrow<T>(weight * (exp_fast(at_target - largest) / sum - 1.0f));
    }
  }
};

}  // namespace

void cross_entropy_cpu(const CrossEntropyArgs& a) {
  const std::int64_t grain = row_grain(a.num_classes);
  if (a.bf16) return for_rows(a.num_rows, grain, CrossEntropy<c10::BFloat16>{a});
  for_rows(a.num_rows, grain, CrossEntropy<float>{a});
}

}  // namespace higgs::kernels
