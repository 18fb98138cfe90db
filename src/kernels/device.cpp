#include "higgs/kernels/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// Why there is no usable GPU; empty when there is one.
std::string open_cuda() {
  if (::dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    return "there is no NVIDIA driver (libcuda.so.1)";
  // Before anything asks torch about CUDA: it remembers the first answer.
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = ::dlerror();
    return std::string("this LibTorch has no CUDA: ") +
           (reason != nullptr ? reason : "libtorch_cuda.so not found");
  }
  return at::globalContext().hasCUDA() ? "" : "the driver shows no GPU (nvidia-smi lists them)";
}

}  // namespace

bool has_cuda_kernels() {
#if defined(HIGGS_HAS_NVCC)
  return true;
#else
  return false;
#endif
}

c10::Device open_device(const std::string& name) {
  HIGGS_ASSERT(name == "auto" || name == "cpu" || name == "cuda");
  if (name == "cpu") return c10::Device(c10::kCPU);
  const std::string fault = open_cuda();
  if (fault.empty()) return c10::Device(c10::kCUDA, 0);
  if (name == "cuda") throw UserError("--device cuda: " + fault + "; use --device cpu, or mend the driver");
  return c10::Device(c10::kCPU);
}

}  // namespace higgs
