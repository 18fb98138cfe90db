// `train` as a process: what it leaves, how it is configured, how it goes on.
#include "train_process.h"

namespace higgs::test {
namespace {

using Train = TrainTest;

TEST_F(Train, LeavesTheFilesOfARun) {
  run(command("run") + Arguments{"--max_steps", "4", "--save_steps", "2", "--val_steps", "2"});
  for (const char* name :
       {"config.toml", "metrics.jsonl", "report.html", "checkpoints/step-000002/MANIFEST.json",
        "checkpoints/step-000004/MANIFEST.json", "checkpoints/step-000004/adapter_model.safetensors",
        "checkpoints/step-000004/higgs_prompt.json", "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors", "adapter/higgs_prompt.json"}) {
    EXPECT_TRUE(fs::is_regular_file(scratch / "run" / name)) << name;
  }
  EXPECT_EQ(snapshot(scratch / "run/tensorboard").size(), 1u);
  for (const auto& [name, bytes] : snapshot(scratch / "run")) {
    EXPECT_EQ(name.find("tmp"), std::string::npos) << name << " was left behind";
  }
  EXPECT_EQ(text_of(scratch / "run/report.html").rfind("<!doctype html>", 0), 0u);
  const Json config = Json::parse(text_of(scratch / "run/adapter/adapter_config.json"));
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
  const Json prompt = Json::parse(text_of(scratch / "run/adapter/higgs_prompt.json"));
  EXPECT_EQ(prompt["system_text"], "") << "the samples' system turns differ";
  EXPECT_GT(prompt["seconds_per_text_token"], 0.0);
}

TEST_F(Train, WritesTheFieldsOfMetrics) {
  run(command("run") + Arguments{"--max_steps", "3", "--val_steps", "2"});
  EXPECT_EQ(steps("run", "train"), count_to(3));
  EXPECT_EQ(steps("run", "eval"), (std::vector<int>{0, 2, 3}));
  std::int64_t tokens = 0;
  for (const Json& line : metrics("run")) {
    EXPECT_TRUE(line.at("loss").is_number() && line.at("loss") > 0.0) << line;
    EXPECT_EQ(line.at("loss_codebooks").size(), 8u);
    double mean = 0;
    for (const double loss : line.at("loss_codebooks")) mean += loss / 8;
    // Sums of doubles in another order.
    EXPECT_NEAR(line.at("loss_audio"), mean, 1e-9) << line;
    EXPECT_NEAR(line.at("loss"), line.at("loss_text").get<double>() + mean, 1e-9) << line;
    if (line["kind"] == "eval") continue;
    for (const char* key : {"epoch", "learning_rate", "grad_norm", "tokens_per_second", "seconds"}) {
      EXPECT_TRUE(line.at(key).is_number() && line.at(key) > 0.0) << key << " in " << line;
    }
    EXPECT_GT(line.at("tokens"), tokens);
    tokens = line.at("tokens");
    EXPECT_GT(line.at("memory_bytes"), 1 << 20);
  }
}

TEST_F(Train, IsWhatRunsWithoutACommandWord) {
  Arguments words = command("run");
  words.erase(words.begin());
  run(words + Arguments{"--max_steps", "1"});
  EXPECT_TRUE(fs::exists(scratch / "run/adapter/adapter_config.json"));
}

TEST_F(Train, TakesTheLaunchLineOfTheReadme) {
  run(launch_line(scratch / "run") + Arguments{"--auditions", "0"});
  // Two passes over five samples, sixteen of them a step.
  EXPECT_EQ(steps("run", "train"), count_to(1));
  EXPECT_EQ(metrics("run").back()["epoch"], 2.0);
  const Json config = Json::parse(text_of(scratch / "run/adapter/adapter_config.json"));
  EXPECT_EQ(config["r"], 16);
  EXPECT_EQ(config["lora_alpha"], 32);
  EXPECT_EQ(config["lora_dropout"], 0.05);
}

TEST_F(Train, TakesSettingsFromAFileAndFlagsBeatIt) {
  write("c.toml", "lora_r = 3\nmax_steps = 2\nlr = 1e-3\nwarmup = 0\n");
  run(command("run") + Arguments{"--config", scratch / "c.toml", "--lora_r", "5"});
  EXPECT_EQ(steps("run", "train"), count_to(2));
  EXPECT_EQ(metrics("run")[1]["learning_rate"], 1e-3);
  EXPECT_EQ(Json::parse(text_of(scratch / "run/adapter/adapter_config.json"))["r"], 5);
  const std::string written = text_of(scratch / "run/config.toml");
  EXPECT_NE(written.find("lora_r = 5\n"), std::string::npos) << written;
  EXPECT_NE(written.find("lr = 0.001\n"), std::string::npos) << written;
}

TEST_F(Train, PrintedAndWrittenSettingsCanBeFedBack) {
  const Arguments settings = {"--max_steps",    "3",   "--lora_r", "4",
                              "--lora_dropout", "0.1", "--lr",     "0.00123"};
  const ProcessResult printed = run(command("run") + settings + Arguments{"--print_config"});
  EXPECT_FALSE(fs::exists(scratch / "run")) << "--print_config only prints";
  run(command("run") + settings);
  EXPECT_EQ(text_of(scratch / "run/config.toml"), printed.out);
  write("c.toml", printed.out);
  EXPECT_EQ(run({"train", "--config", scratch / "c.toml", "--print_config"}).out, printed.out);
  run({"train", "--config", scratch / "c.toml", "--output_dir", scratch / "again"});
  EXPECT_EQ(adapter("again"), adapter("run"));
}

TEST_F(Train, SameSeedGivesTheSameAdapterAnotherSeedAnother) {
  const Arguments common = {"--max_steps", "3", "--lora_dropout", "0.1"};
  run(command("a") + common + Arguments{"--seed", "7"});
  run(command("b") + common + Arguments{"--seed", "7"});
  run(command("c") + common + Arguments{"--seed", "8"});
  EXPECT_EQ(adapter("a"), adapter("b"));
  EXPECT_NE(adapter("a"), adapter("c"));
}

TEST_F(Train, ResumesFromTheNewestWholeCheckpoint) {
  const Arguments common = {"--max_steps", "6", "--save_steps", "2", "--keep_last", "0", "--val_steps", "2"};
  run(command("run") + common);
  const std::string whole = adapter("run");
  const auto lines = results("run");
  fs::remove_all(scratch / "run/adapter");
  // The last checkpoint lacks its MANIFEST.json, as when the machine went down; the one before has a changed
  // byte.
  fs::remove(scratch / "run/checkpoints/step-000006/MANIFEST.json");
  const fs::path damaged = scratch / "run/checkpoints/step-000004/optimizer.safetensors";
  std::string bytes = text_of(damaged);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_text(damaged, bytes);

  const ProcessResult result = run(command("run") + common);
  EXPECT_NE(result.err.find("step-000006: passed over"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("step-000004: passed over"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("continuing after step 2"), std::string::npos) << result.err;
  EXPECT_EQ(adapter("run"), whole);
  EXPECT_EQ(results("run"), lines) << "no step twice, none missing";
}

TEST_F(Train, ResumesFromAGivenCheckpointIntoAnotherFolder) {
  const Arguments common = {"--max_steps", "4", "--save_steps", "2"};
  run(command("run") + common);
  run(command("other") + common + Arguments{"--resume", scratch / "run/checkpoints/step-000002"});
  EXPECT_EQ(adapter("other"), adapter("run"));
  EXPECT_EQ(steps("other", "train"), (std::vector<int>{3, 4}));
}

TEST_F(Train, ResumingRefusesACheckpointOfAnotherRun) {
  run(command("run") + Arguments{"--max_steps", "2"});
  const auto before = snapshot(scratch / "run");
  for (const Arguments& change : {Arguments{"--seed", "9"}, Arguments{"--lora_r", "3"}}) {
    const ProcessResult result = higgs(command("run") + Arguments{"--max_steps", "2"} + change);
    EXPECT_EQ(result.exit_code, 2) << change[0];
    EXPECT_NE(result.err.find("higgs_train: error: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("step-000002"), std::string::npos) << result.err;
  }
  EXPECT_EQ(snapshot(scratch / "run"), before);
}

TEST_F(Train, FinishedRunIsLeftAsItIs) {
  const Arguments all = command("run") + Arguments{"--max_steps", "2"};
  run(all);
  const auto before = snapshot(scratch / "run");
  run(all);
  const auto after = snapshot(scratch / "run");
  for (const auto& [name, bytes] : before) EXPECT_EQ(after.at(name), bytes) << name;
  EXPECT_EQ(after.size(), before.size());
}

TEST_F(Train, OverwriteStartsAnewAndRemovesOnlyTheRun) {
  run(command("run") + Arguments{"--max_steps", "5"});
  write("run/notes.txt", "mine\n");
  run(command("run") + Arguments{"--max_steps", "2", "--seed", "3", "--overwrite"});
  EXPECT_EQ(steps("run", "train"), count_to(2));
  EXPECT_FALSE(fs::exists(scratch / "run/checkpoints/step-000005"));
  EXPECT_EQ(snapshot(scratch / "run/tensorboard").size(), 1u);
  EXPECT_EQ(text_of(scratch / "run/notes.txt"), "mine\n");
}

TEST_F(Train, KeepsTheLastCheckpoints) {
  run(command("run") + Arguments{"--max_steps", "6", "--save_steps", "1", "--keep_last", "2"});
  EXPECT_EQ(checkpoints("run"), (std::set<std::string>{"step-000005", "step-000006"}));
}

TEST_F(Train, RunsInBf16) {
  run(command("run") + Arguments{"--max_steps", "2", "--dtype", "bf16", "--device", "cpu"});
  run(command("wide") + Arguments{"--max_steps", "2"});
  const double narrow = metrics("run")[0]["loss"], wide = metrics("wide")[0]["loss"];
  EXPECT_NE(narrow, wide);
  EXPECT_NEAR(narrow, wide, 1e-2 * wide);  // eight bits of mantissa through two layers
}

}  // namespace
}  // namespace higgs::test
