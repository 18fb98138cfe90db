// The flags that say what a run does when numbers, data or disk go wrong.
#include <ATen/ops/full.h>

#include <cmath>
#include <limits>

#include "support/base_copy.h"
#include "train_process.h"

namespace higgs::test {
namespace {

// A base whose embedding of one code is not a number: every sample that speaks or hears it gives a loss that
// isn't either. `only` is the golden clip that has the code.
class PoisonedBase {
 public:
  explicit PoisonedBase(const std::string& only) : base_("hf/model") {
    const at::Tensor code = code_of(only);
    at::Tensor& rows = base_.tensors.at("model.embed_audio_tokens.embed_audio_tokens.weight");
    rows[code.item<std::int64_t>()].fill_(std::numeric_limits<float>::quiet_NaN());
    base_.write();
    for (const auto& entry : fs::directory_iterator(golden("hf/model"))) {
      if (!fs::exists(path() / entry.path().filename())) fs::copy(entry.path(), path());
    }
  }
  const fs::path& path() const { return base_.folder.path(); }

 private:
  // A code of the first codebook that no other clip has.
  static at::Tensor code_of(const std::string& only) {
    std::map<std::string, at::Tensor> first_codes;
    for (const auto& entry : fs::directory_iterator(golden("e2e/codes"))) {
      const SafetensorsFile file(entry.path());
      first_codes[entry.path().stem()] = load(file, "codes")[0];
    }
    const at::Tensor own = first_codes.at(only);
    for (std::int64_t i = 0; i < own.numel(); ++i) {
      bool elsewhere = false;
      for (const auto& [name, codes] : first_codes)
        elsewhere = elsewhere || (name != only && (codes == own[i]).any().item<bool>());
      if (!elsewhere) return own[i];
    }
    throw std::runtime_error("every code of " + only + " is another clip's too");
  }
  BaseCopy base_;
};

class NotFiniteRun : public TrainTest {
 protected:
  NotFiniteRun() : base("c8") {}  // of the manifest's fifth line
  // A sample a step, so that each pass leaves out one step.
  Arguments poisoned(const std::string& name, const Arguments& more) const {
    return Arguments{"train",
                     "--train_manifest",
                     golden("e2e/manifest.jsonl"),
                     "--output_dir",
                     scratch / name,
                     "--base_ckpt",
                     base.path(),
                     "--batch_size",
                     "1",
                     "--lora_dropout",
                     "0.1",
                     "--self_test",
                     "off",
                     "--grad_accum",
                     "1",
                     "--auditions",
                     "0",
                     "--seed",
                     "2"} +
           more;
  }
  std::vector<int> left_out(const std::string& name) const {
    std::vector<int> all;
    for (const Json& line : metrics(name)) {
      if (line.at("skipped") == "") continue;
      EXPECT_EQ(line.at("skipped"), "not finite") << line;
      EXPECT_TRUE(line.at("loss").is_null() && line.at("grad_norm").is_null()) << line;
      all.push_back(line.at("step"));
    }
    return all;
  }
  PoisonedBase base;
};

TEST_F(NotFiniteRun, LeavesTheStepOutAndKeepsItsSamplesForInspect) {
  const ProcessResult result = run(poisoned("run", {"--max_steps", "10"}));
  const std::vector<int> steps = left_out("run");
  ASSERT_EQ(steps.size(), 2u) << result.err;
  EXPECT_LE(steps[0], 5);
  EXPECT_GT(steps[1], steps[0] + 1);
  char name[32];
  std::snprintf(name, sizeof name, "step-%06d", steps[0]);
  const fs::path kept = scratch / "run/skipped" / name;
  EXPECT_NE(result.err.find((kept / "samples.jsonl").string()), std::string::npos) << result.err;
  const std::vector<std::string> lines = lines_of(text_of(kept / "samples.jsonl"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("codes/c8.safetensors"), std::string::npos) << lines[0];
  // The adapter it was computed with, and that is a number still.
  run({"inspect", "forward", "--manifest", kept / "samples.jsonl", "--base_ckpt", base.path(), "--adapter",
       kept / "adapter", "--out", scratch / "f.safetensors"});
  EXPECT_TRUE(std::isnan(load(SafetensorsFile(scratch / "f.safetensors"), "loss").item<float>()));
  const SafetensorsFile trained(scratch / "run/adapter/adapter_model.safetensors");
  for (const auto& [key, view] : trained.tensors())
    EXPECT_TRUE(load(trained, key).isfinite().all().item<bool>()) << key;
}

TEST_F(NotFiniteRun, StopsWithACheckpointIfAskedAndGoesOnWithout) {
  const ProcessResult result = higgs(poisoned("run", {"--max_steps", "10", "--on_nonfinite", "stop"}));
  EXPECT_EQ(result.exit_code, 1) << result.err;
  const std::vector<int> steps = left_out("run");
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_NE(result.err.find("step " + std::to_string(steps[0]) + ": loss or gradient is not finite"),
            std::string::npos)
      << result.err;
  EXPECT_FALSE(fs::exists(scratch / "run/adapter"));
  ASSERT_EQ(checkpoints("run").size(), 1u);

  const ProcessResult rest = run(poisoned("run", {"--max_steps", "10", "--on_nonfinite", "skip"}));
  EXPECT_NE(rest.err.find("continuing after step"), std::string::npos) << rest.err;
  run(poisoned("whole", {"--max_steps", "10"}));
  EXPECT_EQ(adapter("run"), adapter("whole"));
  EXPECT_EQ(results("run"), results("whole"));
}

using Protection = TrainTest;

TEST_F(Protection, TheBestValidationIsKept) {
  // A learning rate that spoils the adapter after a while.
  run(command("run") + Arguments{"--max_steps", "12", "--val_steps", "1", "--keep_best", "1", "--keep_last",
                                 "1", "--lr", "0.05", "--warmup", "0"});
  int best = 0;
  double lowest = 1e30;
  for (const Json& line : metrics("run")) {
    if (line["kind"] != "eval" || line["loss_audio"] >= lowest) continue;
    lowest = line["loss_audio"];
    best = line["step"];
  }
  ASSERT_GT(best, 0);
  ASSERT_LT(best, 12) << "the last is the best: nothing was compared";
  char name[32];
  std::snprintf(name, sizeof name, "step-%06d", best);
  EXPECT_EQ(checkpoints("run"), (std::set<std::string>{name, "step-000012"}));
}

// A limit on the size of files that the adapter fits under, the optimizer's two moments don't.
class SaveError : public TrainTest {
 protected:
  const Arguments steps = {"--max_steps", "6", "--save_steps", "2", "--lora_dropout", "0.1"};
  ProcessResult limited(const Arguments& more) const {
    const auto size = fs::file_size(scratch / "whole/adapter/adapter_model.safetensors");
    return run_process(
        Arguments{"sh", "-c",
                  "trap '' XFSZ; ulimit -f " + std::to_string(size * 3 / 2 / 512) + "; exec \"$@\"", "sh",
                  program()} +
            command("run") + steps + more,
        environment());
  }
};

TEST_F(SaveError, EndsTheRunWithWhatIsSaved) {
  run(command("whole") + steps);
  const ProcessResult result = limited({});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_NE(result.err.find("the checkpoint of step 2 could not be written"), std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("File too large"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(scratch / "run/adapter"));
}

TEST_F(SaveError, IsOnlyToldIfAsked) {
  run(command("whole") + steps);
  const ProcessResult result = limited({"--on_save_error", "continue"});
  // The training is done and its result there; that nothing could be saved isn't hidden.
  EXPECT_EQ(result.exit_code, 1) << result.err;
  for (const char* step : {"2", "4", "6"}) {
    EXPECT_NE(result.err.find(std::string("the checkpoint of step ") + step + " could not be written"),
              std::string::npos)
        << result.err;
  }
  EXPECT_EQ(adapter("run"), adapter("whole"));
  EXPECT_TRUE(checkpoints("run").empty());
  run(command("run") + steps + Arguments{"--overwrite"});
  EXPECT_EQ(results("run"), results("whole"));
}

TEST_F(Protection, AReplyInItsOwnPromptRaisesTheAlarm) {
  const auto clip = [](const std::string& name) {
    return Json{{"type", "audio"}, {"audio_url", golden("e2e/codes") / (name + ".safetensors")}};
  };
  std::string text;
  for (int i = 0; i < 10; ++i) {
    const std::string said = "c" + std::to_string(i % 5),
                      heard = i == 6 ? said : "c" + std::to_string(5 + i % 4);
    text += Json{{"messages",
                  {{{"role", "user"}, {"content", {"as here: ", clip(heard)}}},
                   {{"role", "assistant"}, {"content", clip(said)}}}}}
                .dump() +
            "\n";
  }
  const Arguments leaking = Arguments{"train",
                                      "--train_manifest",
                                      write("leak.jsonl", text),
                                      "--output_dir",
                                      scratch / "run",
                                      "--max_steps",
                                      "10",
                                      "--batch_size",
                                      "1",
                                      "--grad_accum",
                                      "1"} +
                            golden_base();
  const ProcessResult result =
      higgs(leaking + Arguments{"--leak_alarm", "50"});  // of an untrained model, too
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_NE(result.err.find("leak.jsonl:7: the prompt holds the reply's own clip"), std::string::npos)
      << result.err;
  EXPECT_FALSE(fs::exists(scratch / "run/adapter"));
  run(leaking + Arguments{"--leak_alarm", "0", "--overwrite"});
}

}  // namespace
}  // namespace higgs::test
