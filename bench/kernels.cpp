// How fast each kernel of src/kernels/*.cu, or its CPU twin, moves memory beside a plain copy:
//   bench_kernels [--device auto|cpu|cuda] [--dtype bf16|fp32] [--small]
// Prints one JSON object. `bytes` is the least a kernel can move: each input read once, each output written
// once. `share` is of the copy's bytes (read and written) a second, measured before. Inputs are random, and
// there are as many sets of them as it takes for the caches to hold none when its turn comes again.
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/kernels/device.h"
#include "kernel_cases.h"

namespace higgs {
namespace {

constexpr double kCacheBytes = 256e6;  // several times the largest cache of a GPU

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds that `work` takes on the device; the host's clock would add its own way there and back.
double seconds_of(at::Device device, const std::function<void()>& work) {
  if (device.is_cpu()) {
    const double begin = now_seconds();
    work();
    return now_seconds() - begin;
  }
  const auto stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  c10::Event begin(device.type(), c10::EventFlag::BACKEND_DEFAULT),
      end(device.type(), c10::EventFlag::BACKEND_DEFAULT);
  begin.record(stream);
  work();
  end.record(stream);
  end.synchronize();
  return begin.elapsedTime(end) * 1e-3;
}

struct Timing {
  double median = 0.0, fastest = 0.0;
  int rounds = 0;
};

// `run(i)` on one set of inputs after another: enough in a round for it to be long beside the clock's steps.
Timing time_of(at::Device device, int num_sets, bool quick, const std::function<void(int)>& run) {
  const auto round = [&](int passes) {
    return seconds_of(device, [&] {
      for (int i = 0; i < passes * num_sets; ++i) run(i % num_sets);
    });
  };
  round(1);  // kernels are loaded at their first launch
  const double once = std::max(round(1), 1e-7);
  const int passes = std::clamp(static_cast<int>((quick ? 1e-3 : 1e-2) / once), 1, 1000);
  std::vector<double> seconds;
  for (int i = 0; i < (quick ? 3 : 15); ++i) seconds.push_back(round(passes) / (passes * num_sets));
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), static_cast<int>(seconds.size())};
}

int sets_for(double bytes) {
  return std::clamp(static_cast<int>(kCacheBytes / bytes) + 1, 2, 64);
}

double copy_rate(at::Device device, bool small) {
  const CopyCase copy(device, small ? std::int64_t{1} << 26 : std::int64_t{1} << 30);
  return copy.bytes() / time_of(device, 2, small, [&](int i) { copy.run(i); }).median;
}

OrderedJson measure(const KernelCase& kernel, at::Device device, bool small, double rate) {
  const KernelRun run = kernel.prepare(small ? 2 : sets_for(kernel.bytes));
  const Timing time = time_of(device, run.num_sets, small, run.run);
  const double moved = kernel.bytes / time.median;
  return {{"kernel", kernel.kernel}, {"case", kernel.what},       {"shape", kernel.shape},
          {"bytes", kernel.bytes},   {"seconds", time.median},    {"fastest_seconds", time.fastest},
          {"rounds", time.rounds},   {"bytes_per_second", moved}, {"share", moved / rate}};
}

int run(const std::string& device_name, at::ScalarType dtype, bool small) {
  const at::Device device = open_device(device_name);
  if (device.is_cuda() && !has_cuda_kernels())
    throw UserError("this build has no CUDA kernels (nvcc was not found)");
  const double rate = copy_rate(device, small);
  OrderedJson out{{"device", device.str()},
                  {"dtype", dtype == at::kBFloat16 ? "bf16" : "fp32"},
                  {"copy_bytes_per_second", rate},
                  {"kernels", OrderedJson::array()}};
  for (const KernelCase& kernel : kernel_cases(device, dtype, small)) {
    out["kernels"].push_back(measure(kernel, device, small, rate));
  }
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace higgs

int main(int argc, char** argv) {
  std::string device = "auto", dtype = "bf16";
  bool small = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--small") {
      small = true;
    } else if ((word == "--device" || word == "--dtype") && i + 1 < argc) {
      (word == "--device" ? device : dtype) = argv[++i];
    } else {
      device.clear();
    }
  }
  if ((device != "auto" && device != "cpu" && device != "cuda") || (dtype != "bf16" && dtype != "fp32")) {
    std::fprintf(stderr, "usage: bench_kernels [--device auto|cpu|cuda] [--dtype bf16|fp32] [--small]\n");
    return 2;
  }
  try {
    return higgs::run(device, dtype == "bf16" ? at::kBFloat16 : at::kFloat, small);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
