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

c10::Device open_device(const std::string& name, int local_rank) {
  HIGGS_ASSERT(name == "auto" || name == "cpu" || name == "cuda");
  if (name == "cpu") return c10::Device(c10::kCPU);
  const std::string fault = open_cuda();
  if (!fault.empty()) {
    if (name == "cuda") throw UserError("--device cuda: " + fault + "; use --device cpu, or mend the driver");
    return c10::Device(c10::kCPU);
  }
  const int count =
      static_cast<int>(at::globalContext().getAcceleratorHooksInterface(at::kCUDA).deviceCount());
  if (count > 1 && local_rank >= count) {
    throw UserError("process " + std::to_string(local_rank) + " of this machine has no GPU: there are " +
                    std::to_string(count) + "; start as many processes as GPUs");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(count > 1 ? local_rank : 0));
}

}  // namespace higgs
