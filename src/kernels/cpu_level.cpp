#include "cpu.h"

namespace higgs::kernels {

CpuLevel cpu_level() {
#if defined(__x86_64__)
  static const CpuLevel level = [] {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
      return CpuLevel::kAvx512;
    }
    return avx2 ? CpuLevel::kAvx2 : CpuLevel::kAny;
  }();
  return level;
#else
  return CpuLevel::kAny;
#endif
}

}  // namespace higgs::kernels
