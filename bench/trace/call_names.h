// Which calls of the CUDA runtime and driver make the host wait for the device.
#pragma once

#include <string>
#include <string_view>

namespace higgs::trace {

// "cudaMemcpy_v3020_ptsz" -> "cudaMemcpy": without version and kind of default stream.
std::string plain_name(std::string_view name);

// True for a call (by its plain name) that returns only when work on the device is done: synchronisation,
// copies that block, and freeing memory, for which the driver waits. Copies that are asked to run beside the
// host are not among them; with pageable memory they wait all the same, which their name can't tell.
bool waits_for_device(std::string_view plain);

// Calls that take memory from the driver or register it: slow, and none is needed once the caches are warm.
bool allocates(std::string_view plain);

bool copies_beside_host(std::string_view plain);

}  // namespace higgs::trace
