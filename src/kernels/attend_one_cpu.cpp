#include "args.h"
#include "cpu.h"

namespace higgs::kernels {
namespace {

template <typename T>
struct AttendOne {
  const AttendOneArgs& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const std::int64_t E = a.head_dim, stride = a.num_kv_heads * E, per_group = a.num_heads / a.num_kv_heads;
    for (std::int64_t h = begin; h < end; ++h) {
      const T* q = static_cast<const T*>(a.q) + h * E;
      const T* keys = static_cast<const T*>(a.keys) + h / per_group * E;
      const T* values = static_cast<const T*>(a.values) + h / per_group * E;
      float* scores = a.scores + h * a.length;
      float largest = -3.4e38f;
      for (std::int64_t j = 0; j < a.length; ++j) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t e = 0; e < E; ++e) sum += widen(q[e]) * widen(keys[j * stride + e]);
        scores[j] = sum * a.scale;
        largest = scores[j] > largest ? scores[j] : largest;
      }
      float total = 0.0f;
#pragma omp simd reduction(+ : total)
      for (std::int64_t j = 0; j < a.length; ++j) {
        scores[j] = exp_fast(scores[j] - largest);
        total += scores[j];
      }
      T* out = static_cast<T*>(a.out) + h * E;
      constexpr std::int64_t kPart = 32;  // of the head at a time: sums that stay in registers
      for (std::int64_t first = 0; first < E; first += kPart) {
        const std::int64_t count = E - first < kPart ? E - first : kPart;
        float sums[kPart] = {};
        for (std::int64_t j = 0; j < a.length; ++j) {
          const T* value = values + j * stride + first;
#pragma omp simd
          for (std::int64_t e = 0; e < count; ++e) sums[e] += scores[j] * widen(value[e]);
        }
        for (std::int64_t e = 0; e < count; ++e) out[first + e] = narrow<T>(sums[e] / total);
      }
    }
  }
};

}  // namespace

void attend_one_cpu(const AttendOneArgs& a) {
  const std::int64_t grain = row_grain(a.length * a.head_dim);
  if (a.bf16) return for_rows(a.num_heads, grain, AttendOne<c10::BFloat16>{a});
  for_rows(a.num_heads, grain, AttendOne<float>{a});
}

}  // namespace higgs::kernels
