// A run that is asked to stop: it saves, ends with 143 and goes on bit for bit.
#include <csignal>
#include <thread>

#include "train_process.h"

namespace higgs::test {
namespace {

using namespace std::chrono_literals;

// With a number of threads.
class TrainStop : public TrainTest, public ::testing::WithParamInterface<int> {
 protected:
  const Arguments common = {"--max_steps", "60",          "--grad_accum", "2",    "--lora_dropout",
                            "0.1",         "--log_steps", "50",           "--lr", "1e-3"};
  Environment variables(int threads) const {
    Environment all = environment();
    all["OMP_NUM_THREADS"] = std::to_string(threads);
    return all;
  }
  std::size_t num_lines() const {
    const fs::path path = scratch / "run/metrics.jsonl";
    return fs::exists(path) ? lines_of(text_of(path)).size() : 0;
  }
  void wait_for_steps(Process& process) const {
    while (num_lines() < 5 && process.running()) std::this_thread::sleep_for(1ms);
  }
};

TEST_P(TrainStop, SavesAndGoesOnBitForBit) {
  const auto start = [&](const std::string& name) {
    return run_process(Arguments{program()} + command(name) + common, variables(GetParam()));
  };
  ASSERT_EQ(start("whole").exit_code, 0);

  Process stopped(Arguments{program()} + command("run") + common, variables(GetParam()));
  wait_for_steps(stopped);
  stopped.send(SIGTERM);
  const ProcessResult result = stopped.wait();
  EXPECT_EQ(result.exit_code, 143) << "signal " << result.signal << "\n" << result.err;
  const int last = steps("run", "train").back();
  ASSERT_LT(last, 60) << "ended before the signal came";
  char name[32];
  std::snprintf(name, sizeof name, "step-%06d", last);
  EXPECT_TRUE(fs::exists(scratch / "run/checkpoints" / name / "MANIFEST.json")) << name;
  EXPECT_FALSE(fs::exists(scratch / "run/adapter")) << "an unfinished run has no result";

  const ProcessResult rest = start("run");
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_NE(rest.err.find("continuing after step " + std::to_string(last)), std::string::npos) << rest.err;
  EXPECT_EQ(steps("run", "train"), count_to(60));
  EXPECT_EQ(adapter("run"), adapter("whole"));
  EXPECT_EQ(results("run"), results("whole"));
}
INSTANTIATE_TEST_SUITE_P(Threads, TrainStop, ::testing::Values(1, 2), ::testing::PrintToStringParamName());

// A terminal that closes is a request to stop, unless the run is to outlive it.
TEST_F(TrainStop, AClosedTerminalStopsItButNotUnderNohup) {
  const auto start = [&](const std::string& disposition) {
    return Arguments{"sh", "-c", "trap " + disposition + " HUP; exec \"$@\"", "sh", program()} +
           command("run") + common + Arguments{"--overwrite"};
  };
  for (const auto& [disposition, exit_code] : {std::pair("-", 143), std::pair("''", 0)}) {
    fs::remove_all(scratch / "run");
    Process process(start(disposition), environment());
    wait_for_steps(process);
    process.send(SIGHUP);
    const ProcessResult result = process.wait();
    EXPECT_EQ(result.exit_code, exit_code) << "signal " << result.signal << "\n" << result.err;
    EXPECT_EQ(checkpoints("run").size(), 1u);
  }
}

}  // namespace
}  // namespace higgs::test
