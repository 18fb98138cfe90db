// A rank of a real job is killed, stopped, starved or misled at one point after another: the whole job ends
// within ten seconds with one line that names rank, host, step and cause, and every checkpoint stays whole.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app_test.h"
#include "higgs/formats/checkpoint_folder.h"
#include "support/mpi_job.h"
#include "support/sanitizer.h"

namespace higgs::test {
namespace {

class RankFailureTest : public AppTest {
 protected:
  // Long enough to be killed in the middle; an adapter large enough for a save to take its time.
  Arguments train(const Arguments& more = {}) const {
    return demo_base() + Arguments{"--train_manifest", demo("voice/train.jsonl"),
                                   "--val_manifest",   demo("voice/val.jsonl"),
                                   "--output_dir",     scratch / "run",
                                   "--batch_size",     "8",
                                   "--max_steps",      "1000",
                                   "--save_steps",     "2",
                                   "--lora_r",         "64",
                                   "--comm_timeout",   "60",
                                   "--auditions",      "0"} +
           more;
  }
  MpiJob start(const Arguments& more = {}) const {
    return MpiJob(Arguments{"-np", "2", program(), "train"} + train(more), environment());
  }

  static std::string host() {
    char name[256] = "";
    ::gethostname(name, sizeof name - 1);
    return name;
  }

  // `rank` is named with its host, and with one of `steps` where they are given: between the look at what it
  // does and the signal it may have got on.
  void expect_end(MpiJob& job, int rank, const std::vector<int>& steps, const std::string& cause,
                  double within = 10.0) {
    const MpiJob::End end = job.wait();
    EXPECT_NE(end.result.exit_code, 0);
    EXPECT_LT(end.seconds, within);
    ASSERT_EQ(end.lines.size(), 1u) << end.result.err;
    const std::string& line = end.lines[0];
    EXPECT_NE(line.find(cause), std::string::npos) << line;
    const std::string start = "rank " + std::to_string(rank) + " (" + host();
    bool named = steps.empty() && line.find(start + ")") != std::string::npos;
    for (const int step : steps)
      named = named || line.find(start + ", step " + std::to_string(step) + ")") < line.size();
    EXPECT_TRUE(named) << line;
    std::printf("  %.1f s  %s\n", end.seconds, line.c_str());
    for (const CheckpointEntry& entry : list_checkpoints(scratch / "run" / "checkpoints")) {
      EXPECT_FALSE(checkpoint_fault(entry.folder)) << *checkpoint_fault(entry.folder);
    }
  }
};

TEST_F(RankFailureTest, KilledWhileEncoding) {
  for (const int rank : {1, 0}) {
    MpiJob job = start({"--cache_dir", scratch / ("codes" + std::to_string(rank))});
    job.wait_for(rank, "0 encoding clips");
    job.send(rank, SIGKILL);
    expect_end(job, rank, {}, "died in encoding clips");
    EXPECT_FALSE(fs::exists(scratch / "run")) << "nothing was to be written yet";
  }
}

TEST_F(RankFailureTest, KilledInTheSelfTest) {
  MpiJob job = start();
  job.wait_for(1, "0 the self-test");
  job.send(1, SIGKILL);
  expect_end(job, 1, {}, "died in the self-test");
}

TEST_F(RankFailureTest, KilledInValidation) {
  MpiJob job = start();
  job.wait_for(1, "0 validation");
  job.send(1, SIGKILL);
  expect_end(job, 1, {}, "died in validation");
}

TEST_F(RankFailureTest, KilledInForwardAndBackward) {
  for (const int rank : {1, 0}) {
    MpiJob job = start({"--overwrite"});
    job.wait_for(rank, "4 forward and backward");
    job.send(rank, SIGKILL);
    expect_end(job, rank, {4, 5}, "died in");
    EXPECT_TRUE(fs::exists(scratch / "run/checkpoints" / checkpoint_name(2)));
  }
}

// The other rank is stopped on its way to the sum, so that this one is inside and waits for it.
TEST_F(RankFailureTest, KilledInsideTheReduction) {
  for (const int rank : {1, 0}) {
    MpiJob job = start({"--overwrite"});
    job.wait_for(1 - rank, "4 forward and backward");
    job.send(1 - rank, SIGSTOP);
    job.wait_for(rank, "4 the reduction");
    job.send(rank, SIGKILL);
    job.send(1 - rank, SIGCONT);
    expect_end(job, rank, {4}, "died in the reduction");
  }
}

TEST_F(RankFailureTest, KilledWhileACheckpointIsWritten) {
  for (const int rank : {0, 1}) {
    MpiJob job = start({"--overwrite", "--save_steps", "1", "--lora_r", "256"});
    job.wait_for(0, "saving 3");
    job.send(rank, SIGKILL);
    expect_end(job, rank, {3, 4, 5}, "died in");
  }
}

// What such an end leaves is a run that goes on.
TEST_F(RankFailureTest, TheRunGoesOnAfterwards) {
  MpiJob job = start();
  job.wait_for(1, "4 forward and backward");
  job.send(1, SIGKILL);
  expect_end(job, 1, {4}, "died in");
  MpiJob again = start({"--max_steps", "6"});
  const MpiJob::End end = again.wait();
  EXPECT_EQ(end.result.exit_code, 0) << end.result.err;
  EXPECT_NE(end.result.err.find("resuming from"), std::string::npos);
  EXPECT_TRUE(fs::exists(scratch / "run/adapter/adapter_model.safetensors"));
}

// Before the first step: later a micro-batch that doesn't fit is split, and the run goes on.
TEST_F(RankFailureTest, OutOfMemoryOnOneRank) {
  MpiJob job = start();
  job.wait_for(1, "0 the self-test");
  const rlimit limit{job.virtual_bytes(1) / 2, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(job.pid(1), RLIMIT_AS, &limit, nullptr), 0);
  job.mark();
  const MpiJob::End end = job.wait();
  EXPECT_EQ(end.result.exit_code, 1);
  EXPECT_LT(end.seconds, 10);
  ASSERT_EQ(end.lines.size(), 1u) << end.result.err;
  EXPECT_EQ(end.lines[0].find("higgs_train: failed: rank 1 (" + host()), 0u) << end.lines[0];
  EXPECT_NE(end.lines[0].find("out of memory"), std::string::npos) << end.lines[0];
}

TEST_F(RankFailureTest, AMistakeOnOneRank) {
  const Arguments rank = Arguments{"-np", "1", program(), "train"} + train();
  MpiJob job(rank + Arguments{":"} + rank + Arguments{"--base_ckpt", "/nowhere"}, environment());
  const MpiJob::End end = job.wait();
  EXPECT_EQ(end.result.exit_code, 2) << end.result.err;
  ASSERT_EQ(end.lines.size(), 1u) << end.result.err;
  EXPECT_EQ(end.lines[0].find("higgs_train: error: rank 1 (" + host() + "): "), 0u) << end.lines[0];
  EXPECT_NE(end.lines[0].find("/nowhere"), std::string::npos) << end.lines[0];
}

TEST_F(RankFailureTest, OtherDataOnOneRank) {
  const Arguments rank = Arguments{"-np", "1", program(), "train"} + train();
  MpiJob job(rank + Arguments{":"} + rank + Arguments{"--lr", "0.5"}, environment());
  const MpiJob::End end = job.wait();
  EXPECT_EQ(end.result.exit_code, 2) << end.result.err;
  ASSERT_EQ(end.lines.size(), 1u) << end.result.err;
  EXPECT_NE(end.lines[0].find("rank 1 has other settings or other training data than rank 0"),
            std::string::npos)
      << end.lines[0];
  EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST_F(RankFailureTest, FrozenProcess) {
  for (const int rank : {1, 0}) {
    MpiJob job = start({"--overwrite", "--comm_timeout", "4"});
    job.wait_for(rank, "3 forward and backward");
    job.send(rank, SIGSTOP);
    expect_end(job, rank, {3, 4}, "hangs in");
  }
}

// Only the training thread hangs; the rank's watch still says so.
TEST_F(RankFailureTest, HangingThread) {
  MpiJob job = start({"--comm_timeout", "4"});
  job.wait_for(1, "3 forward and backward");
  const pid_t thread = job.pid(1);
  if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) {
    GTEST_SKIP() << "no right to hold a thread of another process (ptrace)";
  }
  ASSERT_EQ(::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr), 0);
  job.mark();
  expect_end(job, 1, {3, 4},
             "s while others wait for it (--comm_timeout)");  // 4, or 5 where the machine is busy
}

// Rank 0 writes; that it can't is everybody's end.
TEST_F(RankFailureTest, AFailedWriteStopsAll) {
  MpiJob job = start();
  job.wait_for(1, "4 forward and backward");
  fs::remove_all(scratch / "run" / "checkpoints");
  write_text(scratch / "run" / "checkpoints", "in the way");
  job.mark();
  const MpiJob::End end = job.wait();
  EXPECT_EQ(end.result.exit_code, 1);
  EXPECT_LT(end.seconds, kUnderSanitizer ? 30 : 10);
  ASSERT_EQ(end.lines.size(), 1u) << end.result.err;
  EXPECT_EQ(end.lines[0].find("higgs_train: failed: rank 0 (" + host() + ", step "), 0u) << end.lines[0];
  EXPECT_NE(end.lines[0].find("checkpoints"), std::string::npos) << end.lines[0];
}

// A rank that is never started is missed by name.
TEST_F(RankFailureTest, AMissingRankIsNamed) {
  Environment variables = environment();
  variables.insert({{"RANK", "0"}, {"WORLD_SIZE", "3"}, {"MASTER_PORT", "29811"}});
  const ProcessResult result =
      run_process(Arguments{program(), "train"} + train({"--comm_timeout", "2"}), variables);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("rank 1, 2 of 3 did not come"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace higgs::test
