// Real ranks under a real mpirun, joined by Gloo on the loopback.
#include <unistd.h>

#include "app_test.h"

namespace higgs::test {
namespace {

class MpirunTest : public AppTest {
 protected:
  // The same six samples a step, however they are split; dropout on.
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
                                     "0.1"};
  }

  ProcessResult mpirun(int ranks, const Arguments& arguments) const {
    return run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
                                 "-np", std::to_string(ranks), program()} +
                           arguments,
                       environment());
  }

  std::vector<Json> metrics(const std::string& output) const {
    std::vector<Json> all;
    for (const std::string& line : lines_of(text_of(scratch / output / "metrics.jsonl")))
      all.push_back(Json::parse(line));
    return all;
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
  run(train("one", "6"));
  const auto expected = metrics("one");
  ASSERT_EQ(expected.size(), 7u);  // five steps, validation at both ends
  for (const int ranks : {2, 3}) {
    const std::string output = "ranks" + std::to_string(ranks);
    const ProcessResult result = mpirun(ranks, train(output, std::to_string(6 / ranks)));
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
  run(train("alone", "6"));
  Environment variables = environment();
  variables.insert({{"SLURM_NTASKS", "2"}, {"SLURM_JOB_ID", std::to_string(::getpid())}});
  variables["SLURM_PROCID"] = variables["SLURM_LOCALID"] = "1";
  const Arguments command = Arguments{program()} + train("srun", "3");
  Process second(command, variables);
  variables["SLURM_PROCID"] = variables["SLURM_LOCALID"] = "0";
  EXPECT_EQ(run_process(command, variables).exit_code, 0);
  EXPECT_EQ(second.wait().exit_code, 0);
  expect_same_run("srun", metrics("alone"));
}

TEST_F(MpirunTest, AMistakeEndsAllRanks) {
  const fs::path empty = write("empty.jsonl", "");
  const ProcessResult result =
      mpirun(2, golden_base() + Arguments{"--train_manifest", empty, "--output_dir", scratch / "out"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("empty.jsonl: holds no sample"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(scratch / "out"));
}

}  // namespace
}  // namespace higgs::test
