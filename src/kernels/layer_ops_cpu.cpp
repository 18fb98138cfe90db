// CPU twins of layer_ops.cu.
#include "args.h"
#include "cpu.h"

namespace higgs::kernels {
namespace {

// Halves (a, b) of a head become (a cos - b sin, b cos + a sin); inverse: with -sin.
template <typename T>
struct Rotary {
  const RotaryArgs& args;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const std::int64_t E = args.head_dim, half = E / 2;
    const float sign = args.inverse ? -1.0f : 1.0f;
    for (std::int64_t i = begin; i < end; ++i) {
      const T* cos = static_cast<const T*>(args.cos) + i * E;
      const T* sin = static_cast<const T*>(args.sin) + i * E;
      for (std::int64_t h = 0; h < args.num_heads; ++h) {
        T* x = static_cast<T*>(args.x) + (i * args.num_heads + h) * E;
#pragma omp simd
        for (std::int64_t j = 0; j < half; ++j) {
          const float a = widen(x[j]), b = widen(x[j + half]);
          const float c = widen(cos[j]), s = sign * widen(sin[j]);
          x[j] = narrow<T>(rounded<T>(a * c) - rounded<T>(b * s));
          x[j + half] = narrow<T>(rounded<T>(b * c) + rounded<T>(a * s));
        }
      }
    }
  }
};

template <typename T>
struct Swiglu {
  const SwigluArgs& args;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const T* gate = static_cast<const T*>(args.gate);
    const T* up = static_cast<const T*>(args.up);
    T* out = static_cast<T*>(args.out);
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = widen(gate[i]);
      out[i] = narrow<T>(rounded<T>(g * sigmoid(g)) * widen(up[i]));
    }
  }
};

template <typename T>
struct SwigluBackward {
  const SwigluArgs& args;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const T* gate = static_cast<const T*>(args.gate);
    const T* up = static_cast<const T*>(args.up);
    const T* d_out = static_cast<const T*>(args.d_out);
    T* d_gate = static_cast<T*>(args.d_gate);
    T* d_up = static_cast<T*>(args.d_up);
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = widen(gate[i]), d = widen(d_out[i]), s = sigmoid(g);
      d_up[i] = narrow<T>(d * rounded<T>(g * s));
      d_gate[i] = narrow<T>(rounded<T>(d * widen(up[i])) * (s * (1.0f + g * (1.0f - s))));
    }
  }
};

template <typename T>
struct AddRows {
  const AddRowsArgs& args;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const std::int64_t D = args.num_features;
    for (std::int64_t i = begin; i < end; ++i) {
      T* x = static_cast<T*>(args.x) + (args.rows != nullptr ? args.rows[i] : i) * D;
      const T* y = static_cast<const T*>(args.y) + i * D;
#pragma omp simd
      for (std::int64_t j = 0; j < D; ++j) x[j] = narrow<T>(widen(x[j]) + widen(y[j]));
    }
  }
};

template <template <typename> class Body, typename Args>
void run(const Args& args, std::int64_t count, std::int64_t grain) {
  if (args.bf16) return for_rows(count, grain, Body<c10::BFloat16>{args});
  for_rows(count, grain, Body<float>{args});
}

}  // namespace

void rotary_cpu(const RotaryArgs& args) {
  run<Rotary>(args, args.num_rows, row_grain(args.num_heads * args.head_dim));
}

void swiglu_cpu(const SwigluArgs& args) {
  run<Swiglu>(args, args.num_values, row_grain(1));
}

void swiglu_backward_cpu(const SwigluArgs& args) {
  run<SwigluBackward>(args, args.num_values, row_grain(1));
}

void add_rows_cpu(const AddRowsArgs& args) {
  run<AddRows>(args, args.num_rows, row_grain(args.num_features));
}

}  // namespace higgs::kernels
