// How a tensor-level function reaches the loop for the device that its tensors are on.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

#include "args.h"
#include "higgs/base/error.h"

namespace higgs::kernels {

#if defined(HIGGS_HAS_NVCC)
inline void check_launch(int status, const char* name) {
  constexpr int kOutOfMemory = 2;  // cudaErrorMemoryAllocation: a kernel is loaded when it is first launched
  TORCH_CHECK(status == 0, name, " failed, CUDA error ", status,
              status == kOutOfMemory ? ": out of memory" : "");
}
// Kernels go to the current device's legacy default stream (the null stream), which is PyTorch's current one:
// no other is ever made current here.
#define HIGGS_CALL(tensor, name, ...)                                           \
  do {                                                                          \
    if ((tensor).is_cuda()) {                                                   \
      const c10::DeviceGuard guard((tensor).device());                          \
      kernels::check_launch(kernels::name##_cuda(__VA_ARGS__, nullptr), #name); \
    } else {                                                                    \
      kernels::name##_cpu(__VA_ARGS__);                                         \
    }                                                                           \
  } while (false)
#else
[[noreturn]] inline void no_cuda_kernels() {
  throw RunError(
      "this build has no CUDA kernels; build with nvcc, or train with --lora_dropout 0 or --device cpu");
}
#define HIGGS_CALL(tensor, name, ...)                   \
  do {                                                  \
    if ((tensor).is_cuda()) kernels::no_cuda_kernels(); \
    kernels::name##_cpu(__VA_ARGS__);                   \
  } while (false)
#endif

// Whether the values are bfloat16; they are float32 otherwise.
inline bool is_bf16(const at::Tensor& tensor) {
  HIGGS_ASSERT(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
  HIGGS_ASSERT(tensor.is_contiguous());
  return tensor.scalar_type() == at::kBFloat16;
}

template <typename T>
const T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

}  // namespace higgs::kernels
