// How much memory the process has needed so far.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace higgs {

// Peak bytes: of the device's allocator on CUDA, else resident memory of the process.
std::int64_t peak_memory_bytes(c10::Device device);

// Gives memory that the device's allocator keeps for later back to the device; nothing on the CPU.
void release_cached_memory(c10::Device device);

}  // namespace higgs
