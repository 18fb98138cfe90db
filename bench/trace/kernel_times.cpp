#include "kernel_times.h"

#if !defined(HIGGS_HAS_CUPTI)

namespace higgs::trace {

std::string record_kernel_times() {
  return "this build knows no CUPTI (cupti.h was not found)";
}
std::map<std::string, DeviceTime> kernel_times() {
  return {};
}

}  // namespace higgs::trace

#else

#include <cstdlib>
#include <mutex>

#include "cupti_functions.h"

namespace higgs::trace {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{4} << 20;
constexpr std::size_t kAlignment = 8;  // that CUPTI asks for

std::mutex& mutex() {
  static std::mutex* const only = new std::mutex;
  return *only;
}
std::map<std::string, DeviceTime>& totals() {
  static auto* const only = new std::map<std::string, DeviceTime>;
  return *only;
}

void add(const std::string& name, std::uint64_t start, std::uint64_t end, std::uint64_t bytes) {
  DeviceTime& total = totals()[name];
  ++total.count;
  total.nanoseconds += static_cast<std::int64_t>(end - start);
  total.bytes += static_cast<std::int64_t>(bytes);
}

const char* copy_name(std::uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
      return "copy, host to device";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
      return "copy, device to host";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD:
      return "copy, device to device";
    default:
      return "copy, other";
  }
}

void take(const CUpti_Activity& record) {
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = reinterpret_cast<const CUpti_ActivityKernel10&>(record);
      return add(kernel.name != nullptr ? kernel.name : "unnamed", kernel.start, kernel.end, 0);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy6&>(record);
      return add(copy_name(copy.copyKind), copy.start, copy.end, copy.bytes);
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& set = reinterpret_cast<const CUpti_ActivityMemset4&>(record);
      return add("memset", set.start, set.end, set.bytes);
    }
    default:
      return;
  }
}

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* max_records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, kBufferBytes));
  *size = *buffer != nullptr ? kBufferBytes : 0;
  *max_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  {
    const std::lock_guard lock(mutex());
    for (CUpti_Activity* record = nullptr; cupti()->next_record(buffer, valid, &record) == CUPTI_SUCCESS;) {
      take(*record);
    }
  }
  std::free(buffer);
}

}  // namespace

std::string record_kernel_times() {
  if (cupti() == nullptr) return "libcupti.so.13 can't be opened";
  CUptiResult result = cupti()->register_buffers(give_buffer, take_buffer);
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET}) {
    if (result == CUPTI_SUCCESS) result = cupti()->enable_activity(kind);
  }
  return result == CUPTI_SUCCESS ? "" : std::string("CUPTI: ") + cupti_error(result);
}

std::map<std::string, DeviceTime> kernel_times() {
  if (cupti() != nullptr) cupti()->flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  const std::lock_guard lock(mutex());
  return totals();
}

}  // namespace higgs::trace

#endif
