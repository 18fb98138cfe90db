#include "higgs/train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

namespace higgs {

namespace {

// LibTorch's allocator on the GPU; null where there is none.
c10::DeviceAllocator* gpu_allocator() {
  return dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(c10::kCUDA));
}

}  // namespace

std::int64_t peak_memory_bytes(c10::Device device) {
  if (device.is_cuda()) {
    if (auto* const allocator = gpu_allocator()) {
      return allocator->getDeviceStats(device.index()).allocated_bytes[0].peak;
    }
  }
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

void release_cached_memory(c10::Device device) {
  if (!device.is_cuda()) return;
  if (auto* const allocator = gpu_allocator()) allocator->emptyCache();
}

}  // namespace higgs
