// A base that hears clips through its audio tower, in every command that takes a base.
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>
#include <regex>

#include "app_test.h"
#include "higgs/audio/log_mel.h"
#include "higgs/audio/waveform.h"
#include "support/tower_base.h"

namespace higgs::test {
namespace {

class AudioTowerBase : public RefusalTest {
 protected:
  AudioTowerBase() { write_tower_base(scratch / "base", tower_base_config()); }

  Arguments base() const {
    return {"--base_ckpt", scratch / "base", "--audio_tokenizer", golden("hf/codec")};
  }
  static std::string clip(const char* name) { return golden("hf/synthetic") / name; }

  fs::path tone(const std::string& name, double hz, double seconds) const {
    Waveform wave{std::vector<float>(static_cast<std::size_t>(seconds * 16000)), 16000};
    for (std::size_t i = 0; i < wave.samples.size(); ++i) {
      wave.samples[i] =
          static_cast<float>(0.4 * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / 16000));
    }
    write_wav(scratch / name, wave);
    return scratch / name;
  }

  // The user plays `heard`, the assistant speaks `spoken`.
  static std::string line(const std::string& heard, const std::string& spoken) {
    const auto audio = [](const std::string& url) { return Json{{"type", "audio"}, {"audio_url", url}}; };
    return Json{{"messages",
                 {{{"role", "user"}, {"content", {"Say it like this:", audio(heard)}}},
                  {{"role", "assistant"}, {"content", audio(spoken)}}}}}
               .dump() +
           "\n";
  }
  fs::path manifest() const {
    return write("m.jsonl", line(clip("digits_24k.wav"), golden("e2e/codes/c0.safetensors")) +
                                line(clip("sweep_24k.wav"), golden("e2e/codes/c1.safetensors")));
  }
  SafetensorsFile inspect(const std::string& stage, const fs::path& lines) const {
    const fs::path out = scratch / (stage + ".safetensors");
    run(Arguments{"inspect", stage, "--manifest", lines, "--out", out} + base());
    return SafetensorsFile(out);
  }
};

TEST_F(AudioTowerBase, CollateWritesTheFeatures) {
  const SafetensorsFile file = inspect("collate", manifest());
  const at::Tensor features = load(file, "audio_features"), mask = load(file, "audio_feature_attention_mask");
  EXPECT_EQ(features.sizes(), (std::vector<std::int64_t>{2, 16, 200}));
  EXPECT_EQ(mask.sizes(), (std::vector<std::int64_t>{2, 200}));
  EXPECT_EQ(file.at("audio_feature_attention_mask").dtype, DType::kI32);
  EXPECT_FALSE(file.contains("audio_in_ids"));
  const LogMel mel(16, 200);
  std::int64_t i = 0;
  for (const char* name : {"digits_24k.wav", "sweep_24k.wav"}) {
    const Waveform wave = read_audio_file(clip(name));
    const auto samples = resample_soxr(wave.samples, wave.sample_rate, 16000);
    std::vector<float> want(16 * 200);
    mel.compute(samples, want);
    EXPECT_TRUE(features[i].flatten().equal(at::tensor(want))) << name;
    EXPECT_EQ(mask[i].sum().item<std::int64_t>(),
              num_mel_frames(static_cast<std::int64_t>(samples.size()), 200));
    EXPECT_TRUE(mask[i].slice(0, 0, 50).eq(1).all().item<bool>());
    ++i;
  }
}

TEST_F(AudioTowerBase, ForwardHearsTheClip) {
  const SafetensorsFile file = inspect("forward", manifest());
  const at::Tensor kind = load(file, "kind");
  EXPECT_EQ((kind == 3).sum().item<int>(), 33 + 12) << "131 and 50 frames, halved twice";
  EXPECT_EQ((kind == 1).sum().item<int>(), 0);
  EXPECT_TRUE(std::isfinite(load(file, "loss").item<double>()));
}

// Only the sound differs, and with it what the assistant is expected to say.
TEST_F(AudioTowerBase, WhatIsHeardChangesTheLoss) {
  const auto loss = [&](double hz) {
    write("tone.jsonl", line(tone("tone.wav", hz, 1.0), golden("e2e/codes/c0.safetensors")));
    return load(inspect("forward", scratch / "tone.jsonl"), "loss_audio").sum().item<double>();
  };
  const double low = loss(300);
  EXPECT_EQ(loss(300), low);
  EXPECT_GT(std::abs(loss(2500) - low), 1e-4 * low);
}

TEST_F(AudioTowerBase, TrainsEvaluatesAndSpeaks) {
  const fs::path lines = manifest();
  run(Arguments{"train", "--train_manifest", lines, "--output_dir", scratch / "run", "--max_steps", "3",
                "--lr", "1e-2", "--val_split", "0", "--lora_r", "2", "--lora_dropout", "0.1"} +
      base());
  const auto loss = [&](const Arguments& more) {
    const ProcessResult result =
        run(Arguments{"evaluate", "--manifest", lines, "--speak", "0", "--json", "-"} + base() + more);
    return Json::parse(result.out).at("loss").get<double>();
  };
  EXPECT_LT(loss({"--adapter", scratch / "run/adapter"}), loss({}));
  run(Arguments{"generate", "--manifest", lines, "--adapter", scratch / "run/adapter", "--max_seconds", "0.4",
                "--out", scratch / "o.wav"} +
      base());
  EXPECT_GT(read_audio_file(scratch / "o_000.wav").samples.size(), 0u);
}

// Its modules' names end as the decoder's do: peft must not give them an adapter, so a list of endings won't
// do.
TEST_F(AudioTowerBase, IsNoTargetOfTheAdapter) {
  const fs::path lines = manifest();
  run(train(lines) + base());
  const Json config = Json::parse(text_of(scratch / "run/adapter/adapter_config.json"));
  ASSERT_TRUE(config.at("target_modules").is_string());
  const std::regex targets(config.at("target_modules").get<std::string>());
  EXPECT_TRUE(std::regex_match("layers.2.self_attn.q_proj", targets));
  EXPECT_TRUE(std::regex_match("layers.0.audio_mlp.down_proj", targets));
  EXPECT_FALSE(std::regex_match("audio_tower.layers.0.self_attn.q_proj", targets));
}

// Both: the features, then the clip's codes.
TEST_F(AudioTowerBase, TakesCodesToo) {
  Json config = tower_base_config();
  config["encode_audio_in_tokens"] = true;
  write_text(scratch / "base/config.json", config.dump());
  const at::Tensor kind = load(inspect("forward", manifest()), "kind");
  EXPECT_EQ((kind == 3).sum().item<int>(), 33 + 12);
  EXPECT_GT((kind == 1).sum().item<int>(), 33 + 12);
  const SafetensorsFile collated = inspect("collate", manifest());
  EXPECT_TRUE(collated.contains("audio_in_ids"));
  EXPECT_TRUE(collated.contains("audio_features"));
}

TEST_F(AudioTowerBase, NamesAClipThatIsTooLong) {
  const fs::path lines =
      write("long.jsonl", line(tone("long.wav", 300, 2.5), golden("e2e/codes/c0.safetensors")));
  expect_refused(train(lines) + base(), {"long.jsonl:1: ", "lasts more than 2 s", "cut the clip"});
}

}  // namespace
}  // namespace higgs::test
