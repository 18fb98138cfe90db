// What a GPU spends its time on, summed up by the name of the kernel or the kind of copy.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace higgs::trace {

struct DeviceTime {
  std::int64_t count = 0, nanoseconds = 0, bytes = 0;  // bytes: of copies
};

// Begins to record, for the rest of the process; "" or why it can't.
std::string record_kernel_times();

// Of all that has ended; waits for the device.
std::map<std::string, DeviceTime> kernel_times();

}  // namespace higgs::trace
