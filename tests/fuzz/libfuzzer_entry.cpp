// One program per target: what libFuzzer calls. HIGGS_FUZZ_TARGET is the target's function.
#include <cstddef>
#include <cstdint>

#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  higgs::fuzz::HIGGS_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
