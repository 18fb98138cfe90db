// CUDA twins of layer_ops_cpu.cpp: a thread a value, or a pair of them.
#include "device.cuh"

namespace higgs {
namespace kernels {
namespace {

template <typename T>
__global__ void __launch_bounds__(kThreads) rotary(RotaryArgs a) {
  const std::int64_t half = a.head_dim / 2, count = a.num_rows * a.num_heads * half;
  const float sign = a.inverse ? -1.0f : 1.0f;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t j = i % half, head = i / half, row = head / a.num_heads;
    T* x = static_cast<T*>(a.x) + head * a.head_dim + j;
    const float c = widen(static_cast<const T*>(a.cos)[row * a.head_dim + j]);
    const float s = sign * widen(static_cast<const T*>(a.sin)[row * a.head_dim + j]);
    const float first = widen(x[0]), second = widen(x[half]);
    x[0] = narrow<T>(rounded<T>(first * c) - rounded<T>(second * s));
    x[half] = narrow<T>(rounded<T>(second * c) + rounded<T>(first * s));
  }
}

__device__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

template <typename T>
__global__ void __launch_bounds__(kThreads) swiglu(SwigluArgs a) {
  for (std::int64_t i = first_item(); i < a.num_values; i += item_stride()) {
    const float g = widen(static_cast<const T*>(a.gate)[i]);
    static_cast<T*>(a.out)[i] = narrow<T>(rounded<T>(g * sigmoid(g)) * widen(static_cast<const T*>(a.up)[i]));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) swiglu_backward(SwigluArgs a) {
  for (std::int64_t i = first_item(); i < a.num_values; i += item_stride()) {
    const float g = widen(static_cast<const T*>(a.gate)[i]), s = sigmoid(g);
    const float d = widen(static_cast<const T*>(a.d_out)[i]);
    const float up = widen(static_cast<const T*>(a.up)[i]);
    static_cast<T*>(a.d_up)[i] = narrow<T>(d * rounded<T>(g * s));
    static_cast<T*>(a.d_gate)[i] = narrow<T>(rounded<T>(d * up) * (s * (1.0f + g * (1.0f - s))));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) add_rows(AddRowsArgs a) {
  const std::int64_t count = a.num_rows * a.num_features;
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::int64_t row = i / a.num_features, j = i % a.num_features;
    T* x = static_cast<T*>(a.x) + (a.rows != nullptr ? a.rows[row] : row) * a.num_features + j;
    *x = narrow<T>(widen(*x) + widen(static_cast<const T*>(a.y)[i]));
  }
}

template <typename Args>
using Kernel = void (*)(Args);

template <typename Args>
int launch(Kernel<Args> of_float, Kernel<Args> of_bf16, const Args& args, std::int64_t work, void* stream) {
  if (work == 0) return 0;
  (args.bf16 ? of_bf16
             : of_float)<<<blocks_for(work), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace

int rotary_cuda(const RotaryArgs& a, void* stream) {
  return launch<RotaryArgs>(rotary<float>, rotary<__nv_bfloat16>, a,
                            a.num_rows * a.num_heads * (a.head_dim / 2), stream);
}

int swiglu_cuda(const SwigluArgs& a, void* stream) {
  return launch<SwigluArgs>(swiglu<float>, swiglu<__nv_bfloat16>, a, a.num_values, stream);
}

int swiglu_backward_cuda(const SwigluArgs& a, void* stream) {
  return launch<SwigluArgs>(swiglu_backward<float>, swiglu_backward<__nv_bfloat16>, a, a.num_values, stream);
}

int add_rows_cuda(const AddRowsArgs& a, void* stream) {
  return launch<AddRowsArgs>(add_rows<float>, add_rows<__nv_bfloat16>, a, a.num_rows * a.num_features,
                             stream);
}

}  // namespace kernels
}  // namespace higgs
