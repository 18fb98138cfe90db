#include "higgs/train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

namespace higgs {

std::int64_t peak_memory_bytes(c10::Device device) {
  if (device.is_cuda()) {
    const auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(c10::kCUDA));
    if (allocator != nullptr) {
      auto* mutable_allocator = const_cast<c10::DeviceAllocator*>(allocator);
      return mutable_allocator->getDeviceStats(device.index()).allocated_bytes[0].peak;
    }
  }
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace higgs
