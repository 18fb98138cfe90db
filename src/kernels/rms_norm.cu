// CUDA twin of rms_norm_cpu.cpp: a block a row.
#include "device.cuh"

namespace higgs {
namespace kernels {
namespace {

template <typename T>
struct Row {
  const T *x, *weight;
  std::int64_t row;

  __device__ Row(const RmsNormArgs& a, std::int64_t i) {
    row = a.rows != nullptr ? a.rows[i] : i;
    x = static_cast<const T*>(a.x) + row * a.num_features;
    const bool audio = a.audio_weight != nullptr && a.is_audio[row];
    weight = static_cast<const T*>(audio ? a.audio_weight : a.weight);
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads) forward(RmsNormArgs a, bool again) {
  for (std::int64_t i = blockIdx.x; i < a.num_rows; i += gridDim.x) {
    const Row<T> row(a, i);
    float rstd = again ? a.rstd[i] : 0.0f;
    if (!again) {
      float sum = 0.0f;
      for (std::int64_t j = threadIdx.x; j < a.num_features; j += kThreads)
        sum += widen(row.x[j]) * widen(row.x[j]);
      rstd = 1.0f / sqrtf(over_block<Sum>(sum) / static_cast<float>(a.num_features) + a.eps);
      if (threadIdx.x == 0) a.rstd[i] = rstd;
    }
    T* y = static_cast<T*>(a.y) + i * a.num_features;
    for (std::int64_t j = threadIdx.x; j < a.num_features; j += kThreads) {
      y[j] = narrow<T>(widen(row.weight[j]) * rounded<T>(widen(row.x[j]) * rstd));
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) backward(RmsNormArgs a) {
  for (std::int64_t i = blockIdx.x; i < a.num_rows; i += gridDim.x) {
    const Row<T> row(a, i);
    const T* d_y = static_cast<const T*>(a.d_y) + i * a.num_features;
    T* d_x = static_cast<T*>(a.d_x) + row.row * a.num_features;
    const float rstd = a.rstd[i];
    float sum = 0.0f;
    for (std::int64_t j = threadIdx.x; j < a.num_features; j += kThreads) {
      sum += rounded<T>(widen(row.weight[j]) * widen(d_y[j])) * widen(row.x[j]);
    }
    const float along = over_block<Sum>(sum) * rstd * rstd / static_cast<float>(a.num_features);
    for (std::int64_t j = threadIdx.x; j < a.num_features; j += kThreads) {
      const float g = rounded<T>(widen(row.weight[j]) * widen(d_y[j]));
      d_x[j] = narrow<T>(widen(d_x[j]) + rounded<T>(rstd * (g - widen(row.x[j]) * along)));
    }
  }
}

unsigned blocks(std::int64_t rows) {
  return static_cast<unsigned>(rows < 65535 ? rows : 65535);
}

}  // namespace

int rms_norm_cuda(const RmsNormArgs& a, bool again, void* stream) {
  if (a.num_rows == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  if (a.bf16) {
    forward<__nv_bfloat16><<<blocks(a.num_rows), kThreads, 0, on>>>(a, again);
  } else {
    forward<float><<<blocks(a.num_rows), kThreads, 0, on>>>(a, again);
  }
  return static_cast<int>(cudaGetLastError());
}

int rms_norm_backward_cuda(const RmsNormArgs& a, void* stream) {
  if (a.num_rows == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  if (a.bf16) {
    backward<__nv_bfloat16><<<blocks(a.num_rows), kThreads, 0, on>>>(a);
  } else {
    backward<float><<<blocks(a.num_rows), kThreads, 0, on>>>(a);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
