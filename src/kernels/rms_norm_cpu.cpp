#include "args.h"
#include "cpu.h"

namespace higgs::kernels {
namespace {

template <typename T>
struct Rows {
  const RmsNormArgs& a;

  HIGGS_INLINE std::int64_t row(std::int64_t i) const { return a.rows != nullptr ? a.rows[i] : i; }
  HIGGS_INLINE const T* x(std::int64_t i) const {
    return static_cast<const T*>(a.x) + row(i) * a.num_features;
  }
  HIGGS_INLINE const T* weight(std::int64_t i) const {
    const bool audio = a.audio_weight != nullptr && a.is_audio[row(i)];
    return static_cast<const T*>(audio ? a.audio_weight : a.weight);
  }
};

template <typename T>
struct Forward : Rows<T> {
  bool again;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const RmsNormArgs& a = this->a;
    const std::int64_t D = a.num_features;
    for (std::int64_t i = begin; i < end; ++i) {
      const T* x = this->x(i);
      const T* weight = this->weight(i);
      if (!again) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t j = 0; j < D; ++j) sum += widen(x[j]) * widen(x[j]);
        a.rstd[i] = 1.0f / __builtin_sqrtf(sum / static_cast<float>(D) + a.eps);
      }
      const float rstd = a.rstd[i];
      T* y = static_cast<T*>(a.y) + i * D;
#pragma omp simd
      for (std::int64_t j = 0; j < D; ++j) {
        y[j] = narrow<T>(widen(weight[j]) * rounded<T>(widen(x[j]) * rstd));
      }
    }
  }
};

// With n = x / r and g = weight * d_y: d_x = (g - n * mean(g * n)) / r.
template <typename T>
struct Backward : Rows<T> {
  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const RmsNormArgs& a = this->a;
    const std::int64_t D = a.num_features;
    for (std::int64_t i = begin; i < end; ++i) {
      const T* x = this->x(i);
      const T* weight = this->weight(i);
      const T* d_y = static_cast<const T*>(a.d_y) + i * D;
      T* d_x = static_cast<T*>(a.d_x) + this->row(i) * D;
      const float rstd = a.rstd[i];
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < D; ++j) sum += rounded<T>(widen(weight[j]) * widen(d_y[j])) * widen(x[j]);
      const float along = sum * rstd * rstd / static_cast<float>(D);
#pragma omp simd
      for (std::int64_t j = 0; j < D; ++j) {
        const float g = rounded<T>(widen(weight[j]) * widen(d_y[j]));
        d_x[j] = narrow<T>(widen(d_x[j]) + rounded<T>(rstd * (g - widen(x[j]) * along)));
      }
    }
  }
};

}  // namespace

void rms_norm_cpu(const RmsNormArgs& a, bool again) {
  const std::int64_t grain = row_grain(a.num_features);
  if (a.bf16) return for_rows(a.num_rows, grain, Forward<c10::BFloat16>{{a}, again});
  for_rows(a.num_rows, grain, Forward<float>{{a}, again});
}

void rms_norm_backward_cpu(const RmsNormArgs& a) {
  const std::int64_t grain = row_grain(a.num_features);
  if (a.bf16) return for_rows(a.num_rows, grain, Backward<c10::BFloat16>{{a}});
  for_rows(a.num_rows, grain, Backward<float>{{a}});
}

}  // namespace higgs::kernels
