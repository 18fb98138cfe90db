// scripts/launch: real ranks under a real mpirun on the CPU, and what it makes of nvidia-smi's answers.
// Machines that test have no GPUs to count: a script stands in for nvidia-smi and prints what that prints
// with three of them.
#include <signal.h>

#include <chrono>
#include <optional>
#include <thread>

#include "app_test.h"
#include "higgs/formats/checkpoint_folder.h"

namespace higgs::test {
namespace {

class LaunchScriptTest : public AppTest {
 protected:
  Environment variables(const Environment& more = {}) const {
    Environment all = environment();
    all["HIGGS_TRAIN"] = program();
    for (const auto& [name, value] : more) all[name] = value;
    return all;
  }

  static Arguments launch(const Arguments& arguments) {
    return Arguments{(source_dir() / "scripts" / "launch").string()} + arguments;
  }

  // Sixteen clips, eight samples a step however they are split.
  Arguments train(const std::string& output, const std::string& batch_size, const std::string& steps) const {
    return demo_base() +
           Arguments{"--train_manifest", write("train.jsonl", first_lines(demo("voice/train.jsonl"), 16)),
                     "--val_split",      "0",
                     "--output_dir",     scratch / output,
                     "--batch_size",     batch_size,
                     "--max_steps",      steps,
                     "--auditions",      "0",
                     "--device",         "cpu"};
  }

  std::vector<Json> metrics(const std::string& output) const {
    std::vector<Json> all;
    const fs::path file = scratch / output / "metrics.jsonl";
    if (!fs::exists(file)) return all;
    for (const std::string& line : lines_of(text_of(file))) {
      const Json row = Json::parse(line, nullptr, false);  // the last may be half written
      if (!row.is_discarded()) all.push_back(row);
    }
    return all;
  }

  // The signal comes in the middle of training.
  void expect_stops_with_checkpoint(int signal, const std::string& output) const {
    Process job(launch({"-n", "2"}) + train(output, "4", "2000"), variables());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (metrics(output).size() < 2 && job.running() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ASSERT_TRUE(job.running()) << job.wait().err;
    job.send(signal);
    const ProcessResult result = job.wait();
    EXPECT_EQ(result.exit_code, 143) << result.err;
    const auto checkpoints = list_checkpoints(scratch / output / "checkpoints");
    ASSERT_EQ(checkpoints.size(), 1u) << result.err;
    EXPECT_FALSE(checkpoint_fault(checkpoints[0].folder)) << *checkpoint_fault(checkpoints[0].folder);
    const int last_step = metrics(output).back()["step"];
    EXPECT_EQ(checkpoints[0].folder.filename(), checkpoint_name(last_step)) << "every step is in it";
    EXPECT_NE(result.err.find("continues from the checkpoint"), std::string::npos) << result.err;
  }

  // In front of PATH: a folder whose nvidia-smi is this script.
  Environment with_nvidia_smi(const std::string& script, const Environment& more = {}) const {
    const fs::path tool = write("nvidia-smi", "#!/usr/bin/env bash\n" + script);
    fs::permissions(tool, fs::perms::owner_all);
    Environment all = variables(more);
    all["PATH"] = scratch.path().string() + ":" + std::getenv("PATH");
    return all;
  }

  // Three GPUs; another process is on the second.
  static std::string three_gpus() {
    return R"(case "$*" in
  "--query-gpu=index,name,uuid,memory.free,memory.total,driver_version --format=csv,noheader,nounits")
    echo "0, NVIDIA H200, GPU-a0c1f5e2-0000-0000-0000-000000000000, 143156, 143771, 570.86.15"
    echo "1, NVIDIA H200, GPU-b1d2a6f3-0000-0000-0000-000000000001, 20480, 143771, 570.86.15"
    echo "2, NVIDIA H200, GPU-c2e3b704-0000-0000-0000-000000000002, 143156, 143771, 570.86.15" ;;
  "topo -p2p r")
    printf ' \tGPU0\tGPU1\tGPU2\t\n GPU0\tX\tOK\tCNS\t\n GPU1\tOK\tX\tOK\t\n GPU2\tTNS\tOK\tX\t\n'
    printf '\nLegend:\n\n  X    = Self\n  OK   = Status Ok\n  CNS  = Chipset not supported\n' ;;
  *) echo 'Field is not a valid field to query.'; exit 2 ;;
esac
)";
  }

  // What it shows and would start.
  ProcessResult dry_run(const Arguments& options, const std::optional<std::string>& visible = {}) const {
    Arguments command = {"env", "-u", "CUDA_VISIBLE_DEVICES"};
    if (visible) command.push_back("CUDA_VISIBLE_DEVICES=" + *visible);
    return run_process(command + launch(options) + Arguments{"--dry_run", "--", "--lr", "1e-4"},
                       with_nvidia_smi(three_gpus()));
  }

  static std::vector<std::string> errors(const ProcessResult& result) {
    std::vector<std::string> all;
    for (const std::string& line : lines_of(result.err)) {
      if (line.rfind("error: ", 0) == 0) all.push_back(line);
    }
    return all;
  }

  void expect_refused(const ProcessResult& result, const std::string& part) const {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    ASSERT_EQ(errors(result).size(), 1u) << result.err;
    EXPECT_NE(errors(result)[0].find(part), std::string::npos) << errors(result)[0];
    EXPECT_EQ(lines_of(result.err).back(), errors(result)[0]);
  }
};

TEST_F(LaunchScriptTest, TwoRanksGiveTheLossesOfOneProcess) {
  run(train("one", "8", "5"));
  const ProcessResult result = run_process(launch({"-n", "2", "--"}) + train("two", "4", "5"), variables());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("2 ranks on the CPU"), std::string::npos) << result.err;
  const auto expected = metrics("one"), found = metrics("two");
  ASSERT_EQ(expected.size(), 5u);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i]["step"], expected[i]["step"]);
    for (const char* key : {"loss", "grad_norm"}) {
      const double want = expected[i][key];
      // fp32 sums in another order than within one process; MpirunTest measures below 1e-6.
      EXPECT_NEAR(found[i][key].get<double>(), want, 1e-5 * want) << key << " of step " << i + 1;
    }
  }
  EXPECT_TRUE(fs::exists(scratch / "two" / "adapter" / "adapter_model.safetensors"));
}

TEST_F(LaunchScriptTest, SigtermSavesACheckpoint) {
  expect_stops_with_checkpoint(SIGTERM, "term");
}

TEST_F(LaunchScriptTest, CtrlCSavesACheckpoint) {
  expect_stops_with_checkpoint(SIGINT, "int");
}

// mpirun would be asked before there is anybody to ask.
TEST_F(LaunchScriptTest, SigtermBeforeTheRanksAreUp) {
  Process job(launch({"-n", "2"}) + train("early", "4", "2000"), variables());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  job.send(SIGTERM);
  const ProcessResult result = job.wait();
  EXPECT_EQ(result.exit_code, 143) << result.err;
  EXPECT_LE(metrics("early").size(), 1u) << "it went on training";
}

// One rank comes up late: a signal would kill it while the other waits for it.
TEST_F(LaunchScriptTest, SigtermWaitsForARankThatCannotActYet) {
  const fs::path late = write("late", R"(#!/usr/bin/env bash
if [[ $OMPI_COMM_WORLD_RANK == 1 ]]; then
  touch "$MARKS/waits" && sleep 2 && touch "$MARKS/starts"
fi
exec "$PROGRAM" "$@"
)");
  fs::permissions(late, fs::perms::owner_all);
  Process job(launch({"-n", "2"}) + train("late_run", "4", "2000"),
              variables({{"HIGGS_TRAIN", late}, {"PROGRAM", program()}, {"MARKS", scratch.path()}}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!fs::exists(scratch / "waits") && job.running() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(fs::exists(scratch / "waits")) << job.wait().err;
  job.send(SIGTERM);
  const ProcessResult result = job.wait();
  EXPECT_EQ(result.exit_code, 143) << result.err;
  EXPECT_TRUE(fs::exists(scratch / "starts")) << "it was killed before it could act: " << result.err;
}

TEST_F(LaunchScriptTest, AMistakeOfTheUserEndsWith2) {
  const ProcessResult result = run_process(
      launch({"-n", "2"}) + train("out", "4", "5") + Arguments{"--train_manifest", scratch / "none.jsonl"},
      variables());
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_NE(result.err.find("none.jsonl: cannot be opened"), std::string::npos) << result.err;
}

TEST_F(LaunchScriptTest, ShowsTheGpusAndTheCommand) {
  const ProcessResult result = dry_run({});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part : {"driver 570.86.15, 3 of 3 GPUs visible",
                           "0    NVIDIA H200                          150.1     150.8\n",
                           "1    NVIDIA H200                           21.5     150.8  <- little free",
                           "GPU0  X     OK    CNS", "GPU1  OK    X     OK", "GPU2  TNS   OK    X"}) {
    EXPECT_NE(result.err.find(part), std::string::npos) << part << " is missing in\n" << result.err;
  }
  EXPECT_EQ(result.err.find("<-"), result.err.rfind("<-")) << "one GPU is taken: " << result.err;
  EXPECT_EQ(result.out.rfind("mpirun -n 3 --bind-to none", 0), 0u) << result.out;
  EXPECT_NE(result.out.find(program().string() + " train --lr 1e-4"), std::string::npos) << result.out;
}

TEST_F(LaunchScriptTest, CudaVisibleDevicesPicksGpus) {
  ProcessResult result = dry_run({}, "2,GPU-a0c1");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("2 of 3 GPUs visible"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("      GPU2  GPU0  \nGPU2  X     TNS   \nGPU0  CNS   X"), std::string::npos)
      << result.err;
  EXPECT_EQ(result.out.rfind("mpirun -n 2 ", 0), 0u) << result.out;
  result = dry_run({}, "1,7,0");  // as CUDA has it, an unknown one hides those behind it
  EXPECT_EQ(result.out.rfind("mpirun -n 1 ", 0), 0u) << result.out;
  EXPECT_NE(result.err.find("'7' is none of this machine's 3 GPUs"), std::string::npos) << result.err;
  for (const char* none : {"", "-1"})
    expect_refused(dry_run({"-n", "1"}, none), "1 ranks need a GPU each, and 0");
  expect_refused(dry_run({}, ""), "no GPU is visible (CUDA_VISIBLE_DEVICES=); give -n N and --device cpu");
}

TEST_F(LaunchScriptTest, FewerGpusThanRanksAreRefused) {
  expect_refused(dry_run({"-n", "4"}), "4 ranks need a GPU each, and 3 are visible");
  expect_refused(dry_run({"-n", "2"}, "1"), "and 1 are visible (CUDA_VISIBLE_DEVICES=1)");
  EXPECT_EQ(dry_run({"-n", "3"}).exit_code, 0);
}

TEST_F(LaunchScriptTest, NoDriverIsRefusedUnlessTheCpuIsAskedFor) {
  const Environment no_driver = with_nvidia_smi(
      "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"\nexit 9\n");
  const Arguments two = launch({"-n", "2", "--dry_run"});
  expect_refused(run_process(two + Arguments{"--lr", "1"}, no_driver), "nvidia-smi failed: NVIDIA-SMI has");
  // Without the tool at all: only these are on PATH.
  const fs::path tools = scratch / "tools";
  fs::create_directory(tools);
  for (const char* tool : {"bash", "dirname"}) fs::create_symlink(fs::path("/usr/bin") / tool, tools / tool);
  expect_refused(run_process(two + Arguments{"--lr", "1"}, variables({{"PATH", tools}})), "no nvidia-smi");
  const fs::path config = write("cpu.toml", "lr = 1.0\ndevice = \"cpu\"  # slow\n");
  for (const Arguments& flags : {Arguments{"--device", "cpu"}, Arguments{"--device=cpu"},
                                 Arguments{"--config", config}, Arguments{"--config=" + config.string()}}) {
    const ProcessResult result = run_process(two + flags, no_driver);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "==> 2 ranks on the CPU\n");
  }
  expect_refused(run_process(two + Arguments{"--config", config, "--device", "cuda"}, no_driver),
                 "nvidia-smi");
  expect_refused(run_process(launch({"--device", "cpu"}), no_driver), "number of ranks with -n");
}

TEST_F(LaunchScriptTest, WhatIsMissingIsNamed) {
  const Arguments one = launch({"-n", "1", "--dry_run", "--device", "cpu"});
  expect_refused(run_process(one, variables({{"HIGGS_TRAIN", scratch / "none"}})), "is not a program");
  const fs::path tools = scratch / "tools";
  fs::create_directory(tools);
  for (const char* tool : {"bash", "dirname"}) fs::create_symlink(fs::path("/usr/bin") / tool, tools / tool);
  expect_refused(run_process(one, variables({{"PATH", tools}})), "apt-get install openmpi-bin");
  expect_refused(run_process(launch({"-n", "0", "--device", "cpu"}), variables()), "-n needs the number");
}

}  // namespace
}  // namespace higgs::test
