// Counts how often the host waits for a GPU, by the name of the call, over all threads of the process and
// whoever makes the call: LibTorch, cuBLAS, NCCL, this program. LibTorch's own sync_debug_mode sees only its
// own places that copy synchronously; CUPTI's callbacks see every call of the CUDA runtime, and those of the
// driver that don't come from one.
#pragma once

#include <map>
#include <string>

namespace higgs::trace {

using CallCounts = std::map<std::string, long>;

// The name under which copies that should run beside the host but can't are counted.
inline constexpr char kPageableCopy[] = "cudaMemcpyAsync, pageable memory";

// One at a time in a process: another has a fault.
class HostWaits {
 public:
  HostWaits();
  ~HostWaits();
  HostWaits(const HostWaits&) = delete;
  HostWaits& operator=(const HostWaits&) = delete;

  // "" when it counts, else why it can't.
  const std::string& fault() const { return fault_; }
  // Forgets what was counted.
  void reset();
  // Since then. Pageable copies are told by where their memory lies now: ask before it is given back.
  CallCounts waits() const;
  CallCounts allocations() const;

 private:
  std::string fault_;
  void* subscriber_ = nullptr;
};

}  // namespace higgs::trace
