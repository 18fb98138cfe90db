// configs/: every preset is taken by today's program and is what its comments say.
#include <filesystem>
#include <set>

#include "app_test.h"

namespace higgs::test {
namespace {

class PresetsTest : public AppTest {
 protected:
  static fs::path configs() { return source_dir() / "configs"; }

  // What --print_config prints, by key.
  static std::map<std::string, std::string> settings(const std::string& toml) {
    std::map<std::string, std::string> all;
    for (const std::string& line : lines_of(toml)) {
      const std::size_t at = line.find(" = ");
      if (at != std::string::npos) all[line.substr(0, at)] = line.substr(at + 3);
    }
    return all;
  }

  std::map<std::string, std::string> settings_of(const std::string& preset) const {
    return settings(run({"train", "--config", configs() / preset, "--base_ckpt", "base", "--audio_tokenizer",
                         "codec", "--train_manifest", "train.jsonl", "--output_dir", "out", "--print_config"})
                        .out);
  }

  // From the repository, as the comments say; `tools` are scripts in front of PATH.
  ProcessResult run_in_repository(const std::string& command, Environment variables = {},
                                  const std::map<std::string, std::string>& tools = {}) const {
    for (const auto& [name, script] : tools) {
      const fs::path tool = write("tools/" + name, "#!/usr/bin/env bash\n" + script);
      fs::permissions(tool, fs::perms::owner_all);
    }
    for (const auto& [name, value] : environment()) variables.emplace(name, value);
    variables["PATH"] = (scratch / "tools").string() + ":" + std::getenv("PATH");
    variables["PROGRAM"] = program();
    return run_process({"bash", "-c", "cd \"$0\" && " + command, source_dir()}, variables);
  }
};

TEST_F(PresetsTest, EveryOneIsAccepted) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(configs())) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".toml") continue;
    names.insert(name);
    const auto found = settings_of(name);
    EXPECT_EQ(found.count("grad_accum"), 1u) << name;
  }
  for (const char* name : {"8xh200.toml", "1xh200.toml", "1x24gb.toml", "1x12gb.toml", "smoke.toml"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
}

TEST_F(PresetsTest, StepsOf128SamplesInBf16) {
  for (const auto& [name, ranks] : std::map<std::string, int>{{"8xh200.toml", 8}, {"1xh200.toml", 1}}) {
    auto found = settings_of(name);
    EXPECT_EQ(std::stoi(found["batch_size"]) * std::stoi(found["grad_accum"]) * ranks, 128) << name;
    EXPECT_EQ(found["dtype"], "'bf16'") << name;
    EXPECT_EQ(found["num_workers"], "16") << name;
  }
  EXPECT_EQ(settings_of("1x12gb.toml")["base_dtype"], "'nf4'");
  auto eight = settings_of("8xh200.toml");
  EXPECT_EQ(eight["batch_size"], "2");
  EXPECT_EQ(eight["grad_accum"], "8");
}

// The largest micro-batch of a preset, planned for a base of the released size, leaves a tenth of the memory
// free.
TEST_F(PresetsTest, FitIntoTheirGpusByPlan) {
  const Json rope = {{"factor", 32.0},          {"low_freq_factor", 0.125},
                     {"high_freq_factor", 0.5}, {"original_max_position_embeddings", 1024},
                     {"rope_type", "llama3"},   {"rope_theta", 500000.0}};
  const Json released = {{"model_type", "higgs_audio_v2"},
                         {"num_codebooks", 8},
                         {"codebook_size", 1026},
                         {"audio_stream_bos_id", 1024},
                         {"audio_stream_eos_id", 1025},
                         {"pad_token_id", 0},
                         {"audio_token_id", 128016},
                         {"rope_parameters", rope},
                         {"hidden_size", 3072},
                         {"intermediate_size", 8192},
                         {"num_hidden_layers", 28},
                         {"num_attention_heads", 24},
                         {"num_key_value_heads", 8},
                         {"head_dim", 128},
                         {"vocab_size", 128256},
                         {"rms_norm_eps", 1e-5},
                         {"hidden_act", "silu"}};
  write("base/config.json", released.dump());
  const std::map<std::string, double> memory = {
      {"1x12gb.toml", 12e9}, {"1x24gb.toml", 24e9}, {"1xh200.toml", 141e9}, {"8xh200.toml", 141e9}};
  for (const auto& [name, bytes] : memory) {
    auto found = settings_of(name);
    const ProcessResult plan =
        run({"plan", "--base_ckpt", scratch / "base", "--dtype", "bf16", "--batch_size", found["batch_size"],
             "--sample_tokens", found["max_tokens"], "--lora_r", found["lora_r"], "--base_dtype",
             name == "1x12gb.toml" ? "nf4" : "auto", "--json"});
    EXPECT_LT(Json::parse(plan.out)["total_bytes"].get<double>(), 0.9 * bytes) << name;
  }
}

TEST_F(PresetsTest, SmokeTrainsFiveStepsOnTheCpu) {
  const fs::path out = scratch / "smoke";
  const ProcessResult result = run_in_repository(
      "\"$PROGRAM\" train --config configs/smoke.toml --device cpu --output_dir \"$OUT\"", {{"OUT", out}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  int steps = 0;
  for (const std::string& line : lines_of(text_of(out / "metrics.jsonl"))) {
    if (Json::parse(line)["kind"] == "train") ++steps;
  }
  EXPECT_EQ(steps, 5);
  EXPECT_TRUE(fs::exists(out / "adapter" / "adapter_model.safetensors"));
}

// There is no SLURM where tests run: a script stands in for srun and starts one of the tasks.
TEST_F(PresetsTest, SlurmBatchStartsTrainingAndComesBackWhenStopped) {
  const fs::path batch = configs() / "2x8xh200-slurm.sbatch";
  EXPECT_EQ(run_process({"bash", "-n", batch}).exit_code, 0);
  const std::string text = text_of(batch);
  for (const char* line : {"#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=8\n",
                           "#SBATCH --gpus-per-node=8\n", "#SBATCH --signal=TERM@", "#SBATCH --requeue\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  const Environment job = {{"BASE", "b"},   {"TOKENIZER", "t"},    {"MANIFEST", "m.jsonl"},
                           {"OUTPUT", "o"}, {"SLURM_JOB_ID", "7"}, {"SLURM_CPUS_PER_TASK", "16"}};
  const std::string command = "bash configs/2x8xh200-slurm.sbatch";
  const std::string srun =
      "[[ $* == *--kill-on-bad-exit=1* ]] || exit 99\n"
      "while [[ $1 == -* ]]; do shift; done\nshift\n\"$PROGRAM\" \"$@\" --print_config\nexit ";
  const std::string scontrol = "echo \"scontrol $*\"\n";
  ProcessResult result = run_in_repository(command, job, {{"srun", srun + "0\n"}, {"scontrol", scontrol}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out.find("scontrol"), std::string::npos) << "it is done";
  auto found = settings(result.out);
  EXPECT_EQ(std::stoi(found["batch_size"]) * std::stoi(found["grad_accum"]) * 16, 128);
  EXPECT_EQ(found["resume"], "'auto'");
  result = run_in_repository(command, job, {{"srun", srun + "143\n"}, {"scontrol", scontrol}});
  EXPECT_EQ(result.exit_code, 143) << result.err;
  EXPECT_NE(result.out.find("scontrol requeue 7\n"), std::string::npos) << result.out;
  result = run_in_repository(command, job, {{"srun", srun + "1\n"}, {"scontrol", scontrol}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out.find("scontrol"), std::string::npos) << "a failed run doesn't come back by itself";
}

}  // namespace
}  // namespace higgs::test
