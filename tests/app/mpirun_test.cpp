// Real ranks under a real mpirun, joined by Gloo on the loopback.
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "train_process.h"

namespace higgs::test {
namespace {

class MpirunTest : public TrainTest {
 protected:
  // The same twelve samples a step, however they are split; dropout on.
  Arguments train(const std::string& output, const std::string& batch_size) const {
    return golden_base() + Arguments{"--train_manifest",
                                     golden("e2e/manifest.jsonl"),
                                     "--val_manifest",
                                     golden("e2e/manifest.jsonl"),
                                     "--output_dir",
                                     scratch / output,
                                     "--batch_size",
                                     batch_size,
                                     "--max_steps",
                                     "5",
                                     "--lr",
                                     "1e-3",
                                     "--lora_dropout",
                                     "0.1",
                                     "--auditions",
                                     "0"};
  }

  ProcessResult mpirun(int ranks, const Arguments& arguments) const {
    return run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
                                 "-np", std::to_string(ranks), program()} +
                           arguments,
                       environment());
  }

  void expect_same_run(const std::string& output, const std::vector<Json>& expected) const {
    const auto found = metrics(output);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (const char* key : {"loss", "loss_text", "loss_audio", "grad_norm"}) {
        if (!expected[i].contains(key)) continue;
        const double want = expected[i][key];
        // The sum over ranks is taken in another order than within one process.
        EXPECT_NEAR(found[i][key].get<double>(), want, 1e-6 * want) << key << " of line " << i;
      }
      EXPECT_EQ(found[i]["step"], expected[i]["step"]);
    }
  }
};

TEST_F(MpirunTest, RanksTogetherDoWhatOneProcessDoes) {
  run(train("one", "12"));
  const auto expected = metrics("one");
  ASSERT_EQ(expected.size(), 7u);  // five steps, validation at both ends
  for (const int ranks : {2, 3, 4}) {
    const std::string output = "ranks" + std::to_string(ranks);
    const ProcessResult result = mpirun(ranks, train(output, std::to_string(12 / ranks)));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    expect_same_run(output, expected);
    EXPECT_TRUE(fs::exists(scratch / output / "adapter" / "adapter_model.safetensors"));
  }
}

// README's launch line, paths aside: eight ranks, most of which have no sample.
TEST_F(MpirunTest, TheDocumentedLaunchLineRuns) {
  const ProcessResult result = mpirun(8, launch_line(scratch / "out"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(scratch / "out" / "adapter" / "adapter_config.json")) << result.err;
}

// As srun starts them: no launcher of ours, only its variables.
TEST_F(MpirunTest, ProcessesStartedWithSlurmsVariablesJoin) {
  run(train("alone", "12"));
  Environment variables = environment();
  // An address that isn't the one ranks of one machine listen on, as a host's own name may be.
  variables.insert(
      {{"SLURM_NTASKS", "2"}, {"SLURM_JOB_ID", std::to_string(::getpid())}, {"MASTER_ADDR", "127.0.0.2"}});
  variables["SLURM_PROCID"] = variables["SLURM_LOCALID"] = "1";
  const Arguments command = Arguments{program()} + train("srun", "6");
  Process second(command, variables);
  variables["SLURM_PROCID"] = variables["SLURM_LOCALID"] = "0";
  EXPECT_EQ(run_process(command, variables).exit_code, 0);
  EXPECT_EQ(second.wait().exit_code, 0);
  expect_same_run("srun", metrics("alone"));
}

// Two machines, as far as the ranks can tell; with srun's variables for one task each.
TEST_F(MpirunTest, RanksOnSeveralMachinesMeetAtRankZero) {
  run(train("alone", "12"));
  Environment variables = environment();
  variables.insert({{"WORLD_SIZE", "2"},
                    {"LOCAL_RANK", "0"},
                    {"LOCAL_WORLD_SIZE", "1"},
                    {"MASTER_ADDR", "localhost"},
                    {"MASTER_PORT", std::to_string(21000 + ::getpid() % 5000)}});
  const Arguments command = Arguments{program()} + train("machines", "6");
  variables["RANK"] = "1";
  Process second(command, variables);
  variables["RANK"] = "0";
  const ProcessResult first = run_process(command, variables);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(second.wait().exit_code, 0);
  expect_same_run("machines", metrics("alone"));
}

TEST_F(MpirunTest, TwoJobsShareAMachine) {
  const auto start = [&](const std::string& output) {
    return Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2",
                     program()} +
           train(output, "6");
  };
  Process first(start("first"), environment()), second(start("second"), environment());
  for (Process* job : {&first, &second}) {
    const ProcessResult result = job->wait();
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  expect_same_run("first", metrics("second"));
}

// mpirun's default for few ranks: each on one core.
TEST_F(MpirunTest, ABindingToOneCoreIsWidened) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "this machine has one CPU";
  const ProcessResult result = run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe",
                                                     "--bind-to", "core", "-np", "2", program()} +
                                               train("bound", "6"),
                                           environment());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("bound each process to one core; widened to"), std::string::npos) << result.err;
}

// SIGUSR1 is what mpirun passes on. The run goes on where it was, bit for bit, with two threads a rank.
TEST_F(MpirunTest, StopsWithACheckpointAndGoesOn) {
  const auto command = [&](const std::string& output) {
    return Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2",
                     program()} +
           train(output, "1") + Arguments{"--max_steps", "24"};
  };
  Environment variables = environment();
  variables["OMP_NUM_THREADS"] = "2";
  ASSERT_EQ(run_process(command("whole"), variables).exit_code, 0);
  Process stopped(command("run"), variables);
  while (!fs::exists(scratch / "run/metrics.jsonl") || metrics("run").size() < 5) {
    ASSERT_TRUE(stopped.running());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stopped.send(SIGUSR1);
  EXPECT_EQ(stopped.wait().exit_code, 143);
  EXPECT_FALSE(fs::exists(scratch / "run/adapter"));
  EXPECT_EQ(run_process(command("run"), variables).exit_code, 0);
  EXPECT_EQ(adapter("run"), adapter("whole"));
  EXPECT_EQ(results("run"), results("whole"));
}

// Each clip is encoded by one rank.
TEST_F(MpirunTest, EncodeSharesItsLinesOut) {
  const fs::path cache = scratch / "codes";
  const Arguments command = Arguments{"mpirun",
                                      "--allow-run-as-root",
                                      "--oversubscribe",
                                      "--bind-to",
                                      "none",
                                      "-np",
                                      "2",
                                      program(),
                                      "encode",
                                      "--manifest",
                                      demo("voice/val.jsonl"),
                                      "--cache_dir",
                                      cache} +
                            demo_base();
  const ProcessResult first = run_process(command, environment());
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(first.err.find("8 samples: 8 clips encoded, 0 were in the cache"), std::string::npos)
      << first.err;
  const ProcessResult second = run_process(command, environment());
  EXPECT_NE(second.err.find("8 samples: 0 clips encoded, 8 were in the cache"), std::string::npos)
      << second.err;
}

TEST_F(MpirunTest, AMistakeEndsAllRanks) {
  const fs::path empty = write("empty.jsonl", "");
  const ProcessResult result =
      mpirun(2, golden_base() + Arguments{"--train_manifest", empty, "--output_dir", scratch / "out"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("empty.jsonl: holds no sample"), std::string::npos) << result.err;
  std::size_t lines = 0;
  for (const std::string& line : lines_of(result.err)) lines += line.rfind("higgs_train: ", 0) == 0 ? 1 : 0;
  EXPECT_EQ(lines, 1u) << result.err;
  EXPECT_FALSE(fs::exists(scratch / "out"));
}

}  // namespace
}  // namespace higgs::test
