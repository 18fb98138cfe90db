// Loaded by the CUDA driver into a program under CUDA_INJECTION64_PATH=libhiggs_cuda_trace.so: when the
// program ends, HIGGS_CUDA_TRACE=FILE holds how often the host waited and what the device's time went into,
// as JSON. The difference of a long run and a short one is what the steps between them cost, without a word
// in the program about where one begins.
#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host_waits.h"
#include "kernel_times.h"

namespace higgs::trace {
namespace {

HostWaits* waits = nullptr;
std::string kernels_fault;

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : name;
}

void write_trace() {
  const char* const path = std::getenv("HIGGS_CUDA_TRACE");
  if (path == nullptr) return;
  nlohmann::ordered_json out{{"waits_fault", waits->fault()},
                             {"kernels_fault", kernels_fault},
                             {"waits", waits->waits()},
                             {"allocations", waits->allocations()},
                             {"device_time", nlohmann::ordered_json::object()}};
  for (const auto& [name, time] : kernel_times()) {
    out["device_time"][demangled(name)] = {{"count", time.count},
                                           {"seconds", static_cast<double>(time.nanoseconds) * 1e-9},
                                           {"bytes", time.bytes}};
  }
  std::ofstream file(path);
  file << out.dump() << "\n";
  if (!file.flush()) std::fprintf(stderr, "libhiggs_cuda_trace: %s can't be written\n", path);
}

void begin() {
  if (waits != nullptr) return;
  waits = new HostWaits;
  kernels_fault = record_kernel_times();
  std::atexit(write_trace);
}

}  // namespace
}  // namespace higgs::trace

// What the driver calls once, before anything else is done with CUDA.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  higgs::trace::begin();
  return 1;
}
