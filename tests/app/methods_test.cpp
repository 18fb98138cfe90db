// Ways to train beside plain LoRA: what their flags do to a run.
#include "train_process.h"

#include "higgs/formats/checkpoint_folder.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {
namespace {

class Methods : public TrainTest {
 protected:
  // The largest number of the tensors whose key ends so, by group of linear maps.
  std::map<std::string, float> largest(const std::string& name, const std::string& ending) const {
    std::map<std::string, float> all;
    const SafetensorsFile file(scratch / name / "adapter/adapter_model.safetensors");
    for (const auto& [key, view] : file.tensors()) {
      if (!key.ends_with(ending)) continue;
      for (const char* group : {".self_attn.", ".mlp.", ".audio_mlp."}) {
        if (key.find(group) == std::string::npos) continue;
        float& most = all[group];
        for (const float v : file.floats(key)) most = std::max(most, std::abs(v));
      }
    }
    return all;
  }
  void refused(const Arguments& more, const std::string& message) const {
    const ProcessResult result = higgs(command("refused") + more);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  }
};

// A learning rate of 0 makes no validation better than the first.
TEST_F(Methods, EarlyStoppingEndsTheRunAndSoItStays) {
  const Arguments train = command("run") + Arguments{"--lr",        "0", "--max_steps",      "9",
                                                     "--val_steps", "1", "--early_stopping", "2"};
  const ProcessResult result = run(train);
  EXPECT_EQ(steps("run", "train"), count_to(2));
  EXPECT_NE(result.err.find("step 2: 2 validations in a row were no better than "), std::string::npos)
      << result.err;
  EXPECT_TRUE(fs::exists(scratch / "run/adapter/adapter_model.safetensors"));
  run(train);  // again: nothing is left to do
  EXPECT_EQ(steps("run", "train"), count_to(2));
  refused({"--val_manifest", "", "--val_split", "0", "--early_stopping", "2"},
          "--early_stopping needs held-out samples");
}

// The result is the best checkpoint's adapter, not the last one's.
TEST_F(Methods, EarlyStoppingTakesTheBest) {
  run(command("run") + Arguments{"--lr", "3e-2", "--max_steps", "60", "--val_steps", "2", "--early_stopping",
                                 "2", "--keep_last", "1", "--lora_r", "64"});
  double best = 1e9;
  int best_step = 0;
  for (const Json& line : metrics("run")) {
    if (line["kind"] != "eval" || line["step"] == 0 || line["loss_audio"] >= best) continue;
    best = line["loss_audio"];
    best_step = line["step"];
  }
  const int last = steps("run", "train").back();
  ASSERT_LT(best_step, last) << "no overfitting in this many steps";
  EXPECT_EQ(adapter("run"),
            text_of(scratch / "run/checkpoints" / checkpoint_name(best_step) / "adapter_model.safetensors"));
}

TEST_F(Methods, AnAdapterIsStartedFrom) {
  run(command("first") + Arguments{"--lr", "1e-2", "--max_steps", "2", "--lora_r", "4", "--lora_alpha", "8"});
  const Arguments from = {"--init_adapter", scratch / "first/adapter"};
  run(command("second") + from + Arguments{"--lr", "0", "--max_steps", "1"});
  EXPECT_EQ(adapter("second"), adapter("first")) << "nothing was learnt";
  const double end = metrics("first").back()["loss"], begin = metrics("second").front()["loss"];
  EXPECT_EQ(begin, end);
  run(command("third") + from + Arguments{"--lr", "1e-2", "--max_steps", "2"});
  EXPECT_LT(metrics("third").back()["loss"], end);
  refused(from + Arguments{"--lora_r", "8"}, "--lora_r is as the adapter of --init_adapter has it");
}

TEST_F(Methods, GroupsHaveRatesAndRanks) {
  run(command("run") + Arguments{"--lr", "1e-2", "--wd", "0", "--max_steps", "2", "--lr_pattern",
                                 "self_attn=0", "--rank_pattern", "mlp=0,audio_mlp=2"});
  const auto b = largest("run", ".lora_B.weight");
  EXPECT_EQ(b.at(".self_attn."), 0.0f);
  EXPECT_GT(b.at(".audio_mlp."), 0.0f);
  EXPECT_EQ(b.count(".mlp."), 0u);
  refused({"--rank_pattern", "mlp=1.5"}, "--rank_pattern 'mlp=1.5': a rank is a whole number from 0 to 4096");
  refused({"--rank_pattern", "mlp=0,audio_mlp=0,self_attn=0"}, "leaves no linear map");
}

// Each by itself where it was read again: the same losses by `evaluate`, peft's names, a merged checkpoint.
TEST_F(Methods, HeadsAndEmbeddingsAreTrainedWhole) {
  const Arguments whole = {"--modules_to_save",
                           "text_lm_head,audio_lm_head,embed_audio_tokens",
                           "--lr",
                           "3e-3",
                           "--lr_schedule",
                           "constant",
                           "--warmup",
                           "0"};
  const Arguments train = command("run") + whole + Arguments{"--max_steps", "4", "--save_steps", "2"};
  const ProcessResult result = run(train);
  EXPECT_NE(
      result.err.find(" linear maps, audio_lm_head whole, embed_audio_tokens whole, text_lm_head whole, "),
      std::string::npos)
      << result.err;
  const auto losses = metrics("run");
  EXPECT_LT(losses.back()["loss"].get<double>(), 0.8 * losses.front()["loss"].get<double>());
  const std::string end = adapter("run");
  const fs::path folder = scratch / "run/adapter";
  EXPECT_EQ(Json::parse(text_of(folder / "adapter_config.json")).at("modules_to_save"),
            (Json{"audio_lm_head", "model.embed_audio_tokens.embed_audio_tokens", "text_lm_head"}));
  EXPECT_NE(text_of(folder / "README.md")
                .find("| trained whole | audio_lm_head, embed_audio_tokens, text_lm_head |\n"),
            std::string::npos);

  fs::remove_all(scratch / "run/adapter");
  fs::remove_all(scratch / "run/checkpoints/step-000004");
  run(train);
  EXPECT_EQ(adapter("run"), end) << "resumed";

  const auto evaluated = [&](const Arguments& what) {
    return Json::parse(run(Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--speak", "0",
                                     "--json", "-"} +
                           what)
                           .out)
        .at("loss")
        .get<double>();
  };
  const double loss = losses.back()["loss"];
  EXPECT_NEAR(evaluated(golden_base() + Arguments{"--adapter", folder, "--base", "off"}), loss, 1e-6 * loss);
  run(Arguments{"merge", "--adapter", folder, "--out", scratch / "merged", "--dtype", "fp32"} +
      golden_base());
  EXPECT_NEAR(evaluated({"--base_ckpt", scratch / "merged"}), loss, 1e-5 * loss);

  const Arguments from = {"--init_adapter", folder};
  run(command("second") + from + Arguments{"--lr", "0", "--max_steps", "1"});
  EXPECT_EQ(adapter("second"), end) << "nothing was learnt";
  run(command("third") + from +
      Arguments{"--lr", "1e-3", "--max_steps", "2", "--lr_pattern", "text_lm_head=0"});
  EXPECT_LT(metrics("third").back()["loss"].get<double>(), loss);
  const SafetensorsFile before(folder / "adapter_model.safetensors"),
      after(scratch / "third/adapter/adapter_model.safetensors");
  const std::string prefix = "base_model.model.";
  EXPECT_EQ(after.floats(prefix + "text_lm_head.weight"), before.floats(prefix + "text_lm_head.weight"));
  EXPECT_NE(after.floats(prefix + "audio_lm_head.weight"), before.floats(prefix + "audio_lm_head.weight"));
  refused(from + Arguments{"--modules_to_save", "audio_lm_head"}, "--modules_to_save is as the adapter of");
}

TEST_F(Methods, AHeadAloneIsTrained) {
  run(command("run") + Arguments{"--rank_pattern", "mlp=0,audio_mlp=0,self_attn=0", "--modules_to_save",
                                 "audio_lm_head", "--lr", "1e-2", "--max_steps", "3"});
  EXPECT_LT(metrics("run").back()["loss_audio"].get<double>(),
            metrics("run").front()["loss_audio"].get<double>());
  const SafetensorsFile file(scratch / "run/adapter/adapter_model.safetensors");
  EXPECT_EQ(file.tensors().size(), 1u);
  const std::string card = text_of(scratch / "run/adapter/README.md");
  EXPECT_NE(card.find("| trained whole | audio_lm_head |\n"), std::string::npos) << card;
  EXPECT_EQ(card.find("| r |"), std::string::npos) << card;
  refused({"--modules_to_save", "text_lm_head", "--text_weight", "0"},
          "there is no text loss (--text_weight 0)");
  refused({"--modules_to_save", "audio_lm_head", "--audio_weight", "0"}, "there is no audio loss");
  refused({"--modules_to_save", "lm_head"}, "'lm_head' is no module that can be trained whole; there are ");
  refused({"--lr_pattern", "audio_lm_head=2"},
          "audio_lm_head is not trained whole; name it in --modules_to_save");
  refused({"--rank_pattern", "audio_lm_head=2"}, "'audio_lm_head' is no group of linear maps");
}

// After one step Adam has moved each value of B by the rate, whatever its gradient.
TEST_F(Methods, LoraPlusLetsBLearnFaster) {
  const Arguments one_step = {"--lr",        "1e-3", "--warmup",      "0",       "--wd", "0",
                              "--max_steps", "1",    "--lr_schedule", "constant"};
  run(command("plain") + one_step);
  run(command("plus") + one_step + Arguments{"--loraplus_ratio", "16"});
  EXPECT_NEAR(largest("plain", ".lora_B.weight").at(".audio_mlp."), 1e-3, 1e-6);
  EXPECT_NEAR(largest("plus", ".lora_B.weight").at(".audio_mlp."), 16e-3, 16e-6);
  EXPECT_EQ(largest("plus", ".lora_A.weight"), largest("plain", ".lora_A.weight"));
}

TEST_F(Methods, SchedulesGoTheirWay) {
  for (const auto& [schedule, last] :
       std::map<std::string, double>{{"constant", 1e-3}, {"linear", 0.25e-3}}) {
    run(command(schedule) +
        Arguments{"--lr", "1e-3", "--warmup", "0", "--max_steps", "4", "--lr_schedule", schedule});
    std::vector<double> rates;
    for (const Json& line : metrics(schedule)) {
      if (line["kind"] == "train") rates.push_back(line["learning_rate"]);
    }
    ASSERT_EQ(rates.size(), 4u);
    EXPECT_DOUBLE_EQ(rates.front(), 1e-3);
    EXPECT_DOUBLE_EQ(rates.back(), last) << schedule;
  }
}

TEST_F(Methods, CodebooksCountAsTheyAreWeighted) {
  run(command("run") + Arguments{"--max_steps", "1", "--codebook_weights", "3,1,0,0,0,0,0,0"});
  for (const Json& line : metrics("run")) {
    const auto& each = line["loss_codebooks"];
    EXPECT_NEAR(line["loss_audio"], 0.75 * each[0].get<double>() + 0.25 * each[1].get<double>(), 1e-9)
        << line;
  }
  refused({"--codebook_weights", "1,1"}, "the base has 8 codebooks; give a number for each");
  refused({"--codebook_weights", "1,1,1,x,1,1,1,1"}, "'x' is not a number from 0 on");
}

}  // namespace
}  // namespace higgs::test
