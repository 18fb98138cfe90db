// How often the host waits for the GPU while it trains, counted by CUPTI over all threads of the process.
// Skipped where there is no GPU; `ctest -L gpu`.
#include "host_waits.h"

#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include "higgs/base/error.h"
#include "higgs/kernels/device.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

class HostWaits : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device.emplace(open_device("cuda"));
    } catch (const UserError& error) {
      GTEST_SKIP() << "no GPU here: " << error.what();
    }
    if (!has_cuda_kernels()) GTEST_SKIP() << "this build has no CUDA kernels (nvcc was not found)";
  }
  std::optional<at::Device> device;
};

std::string text_of(const trace::CallCounts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += name + " x " + std::to_string(count) + "; ";
  return text;
}

// That zero is counted says something only if what waits is seen.
TEST_F(HostWaits, ReadingANumberIsSeen) {
  const at::Tensor x = at::rand({1000}, at::TensorOptions(at::kFloat).device(*device));
  trace::HostWaits counter;
  ASSERT_EQ(counter.fault(), "");
  const at::Tensor sum = x.sum();
  EXPECT_EQ(text_of(counter.waits()), "");
  EXPECT_GE(sum.item<float>(), 0.0f);
  EXPECT_NE(text_of(counter.waits()), "");
  counter.reset();
  EXPECT_EQ(text_of(counter.waits()), "");
}

// A step queues its work and goes on. What the host waits for, once a step, is the numbers of the step
// before, asked for when the next one is queued: the device is never without work for it.
TEST_F(HostWaits, AStepWaitsForNothingButTheNumbersOfTheOneBefore) {
  constexpr std::int64_t kFirst = 6, kLast = 26;
  const test::TemporaryFolder folder;
  test::TinyRun run(folder.path(), *device, at::kBFloat16);
  run.options.max_steps = kLast + 2;
  run.options.self_test = false;
  run.options.spike_guard = 5.0;  // judged on the device too
  std::optional<trace::HostWaits> counter;
  trace::CallCounts waits;
  run.make();
  run.trainer->run([&] {
    if (run.trainer->step() == kFirst) counter.emplace();
    if (run.trainer->step() == kLast) {
      waits = counter->waits();
      EXPECT_EQ(counter->fault(), "");
      counter.reset();
    }
    return false;
  });
  EXPECT_EQ(text_of(waits), "cudaEventSynchronize x " + std::to_string(kLast - kFirst) + "; ");
}

}  // namespace
}  // namespace higgs
