// `generate` as a process, with the digit speaker of demo/.
#include "app_test.h"
#include "higgs/audio/waveform.h"
#include "higgs/codec/codes.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {
namespace {

class Generate : public AppTest {
 protected:
  Arguments command(const std::string& out) const {
    return Arguments{"generate", "--out", scratch / out} + demo_base();
  }
  std::string bytes(const std::string& name) const { return text_of(scratch / name); }

  // A PEFT folder for the demo base that changes nothing: B is zero until a step is taken, and the learning
  // rate of this one is 0.
  fs::path idle_adapter() const {
    const fs::path manifest = write("one.jsonl", first_lines(demo("voice/train.jsonl"), 1));
    run(Arguments{"train", "--train_manifest", manifest, "--output_dir", scratch / "idle", "--max_steps", "1",
                  "--lr", "0", "--lora_r", "2"} +
        demo_base());
    return scratch / "idle/adapter";
  }
};

TEST_F(Generate, WritesA24KilohertzWavAndSaysThatItStopped) {
  const ProcessResult result = run(command("a.wav") + Arguments{"--text", "seven three", "--greedy"});
  EXPECT_NE(result.err.find((scratch / "a.wav").string() + ": "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("stopped by itself"), std::string::npos) << result.err;
  const Waveform wave = read_audio_file(scratch / "a.wav");
  EXPECT_EQ(wave.sample_rate, 24000);
  EXPECT_EQ(wave.samples.size() % 960, 0u);
  EXPECT_GT(wave.samples.size(), 12000u) << "two words take more than half a second";
  float loudest = 0;
  for (const float sample : wave.samples) loudest = std::max(loudest, std::abs(sample));
  EXPECT_GT(loudest, 0.05f) << "silence";
}

// A base whose end is the code that this one says first.
TEST_F(Generate, AModelThatSaysNothingIsAFailureThatNamesThePrompt) {
  const Arguments text = {"--text", "seven three", "--greedy"};
  run(command("a.wav") + text + Arguments{"--out_codes", scratch / "a.safetensors"});
  fs::copy(demo("base"), scratch / "mute");
  Json config = Json::parse(text_of(scratch / "mute/config.json"));
  config["audio_stream_eos_id"] = read_codes(scratch / "a.safetensors").at(0, 0);
  write("mute/config.json", config.dump());
  const ProcessResult result = higgs(Arguments{"generate", "--out", scratch / "b.wav", "--base_ckpt",
                                               scratch / "mute", "--audio_tokenizer", demo("codec")} +
                                     text);
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_NE(result.err.find(": the model said nothing (no frame before its EOS)"), std::string::npos)
      << result.err;
  EXPECT_FALSE(fs::exists(scratch / "b.wav"));
}

TEST_F(Generate, SameSeedGivesTheSameBytes) {
  const Arguments text = {"--text", "seven three zero"};
  run(command("a.wav") + text + Arguments{"--seed", "3"});
  run(command("b.wav") + text + Arguments{"--seed", "3"});
  run(command("c.wav") + text + Arguments{"--seed", "4"});
  EXPECT_EQ(bytes("a.wav"), bytes("b.wav"));
  EXPECT_NE(bytes("a.wav"), bytes("c.wav"));
}

TEST_F(Generate, GreedyDoesNotDependOnTheSeed) {
  const Arguments text = {"--text", "four five six", "--greedy"};
  run(command("a.wav") + text + Arguments{"--seed", "1"});
  run(command("b.wav") + text + Arguments{"--seed", "2"});
  EXPECT_EQ(bytes("a.wav"), bytes("b.wav"));
}

TEST_F(Generate, SaysWhenItRanIntoTheLimit) {
  const ProcessResult result =
      run(command("a.wav") + Arguments{"--text", "seven three zero", "--greedy", "--max_seconds", "0.4"});
  EXPECT_NE(result.err.find("did not stop"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("stopped by itself"), std::string::npos) << result.err;
  EXPECT_LE(read_audio_file(scratch / "a.wav").samples.size(), 9600u);
}

TEST_F(Generate, CodesAreThoseOfTheWav) {
  run(command("a.wav") +
      Arguments{"--text", "one", "--greedy", "--out_codes", scratch / "codes/a.safetensors"});
  const SafetensorsFile codes(scratch / "codes/a.safetensors");
  EXPECT_EQ(codes.at("codes").dtype, DType::kI16);
  ASSERT_EQ(codes.at("codes").shape.size(), 2u);
  EXPECT_EQ(codes.at("codes").shape[0], 8);
  const Waveform wave = read_audio_file(scratch / "a.wav");
  EXPECT_EQ(codes.at("codes").shape[1] * 960, static_cast<std::int64_t>(wave.samples.size()));
  run(Arguments{"inspect", "decode", "--codes", scratch / "codes/a.safetensors", "--out",
                scratch / "w.safetensors"} +
      demo_base());
  const auto decoded = SafetensorsFile(scratch / "w.safetensors").floats("wave.0");
  ASSERT_EQ(decoded.size(), wave.samples.size());
  // 16-bit samples are half a step off at most; louder than full scale is clipped.
  for (std::size_t i = 0; i < decoded.size(); ++i)
    ASSERT_NEAR(std::clamp(decoded[i], -1.0f, 1.0f), wave.samples[i], 1.1f / 32768) << i;
}

TEST_F(Generate, NumbersTheFilesOfSeveralPrompts) {
  const fs::path manifest = write("two.jsonl", first_lines(demo("voice/val.jsonl"), 2));
  run(command("many/v.wav") + Arguments{"--manifest", manifest, "--greedy"});
  std::string texts;
  for (const std::string& line : lines_of(text_of(manifest)))
    texts += Json::parse(line).at("messages").at(1).at("content").get<std::string>() + "\n\n";
  write("texts.txt", texts);
  run(command("texts/v.wav") + Arguments{"--text_file", scratch / "texts.txt", "--greedy", "--scene", ""});
  std::map<std::string, std::string> found = snapshot(scratch / "many");
  ASSERT_EQ(found.size(), 2u);
  // The manifest's system turn is the plain instruction, which --scene '' gives as well.
  EXPECT_EQ(found, snapshot(scratch / "texts"));
  EXPECT_NE(found.at("v_000.wav"), found.at("v_001.wav"));
}

TEST_F(Generate, SpeaksAfterAReference) {
  const Arguments text = {"--text", "one two", "--greedy"};
  run(command("plain.wav") + text);
  const ProcessResult result =
      run(command("like.wav") + text +
          Arguments{"--ref_audio", demo("voice/clips/val_00.flac"), "--ref_text", demo_text(0)});
  EXPECT_NE(bytes("plain.wav"), bytes("like.wav"));
  EXPECT_GT(fs::file_size(scratch / "like.wav"), 44u);
}

TEST_F(Generate, MissingReferenceIsNamed) {
  const ProcessResult result = higgs(
      command("a.wav") + Arguments{"--text", "one", "--ref_audio", scratch / "no.wav", "--ref_text", "one"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find((scratch / "no.wav").string() + ": no such clip"), std::string::npos)
      << result.err;
}

TEST_F(Generate, TheAdaptersPromptFileDecidesTheSystemTurn) {
  const fs::path adapter = idle_adapter();
  EXPECT_EQ(Json::parse(text_of(adapter / "higgs_prompt.json"))["system_text"],
            "Generate audio following instruction.");
  const Arguments text = {"--text", "four five six", "--greedy"};
  run(command("trained.wav") + text + Arguments{"--adapter", adapter});
  run(command("no_scene.wav") + text + Arguments{"--scene", ""});
  run(command("default.wav") + text);
  run(command("given.wav") + text + Arguments{"--adapter", adapter, "--scene", "Speaker: f2"});
  run(command("f2.wav") + text + Arguments{"--scene", "Speaker: f2"});
  EXPECT_EQ(bytes("trained.wav"), bytes("no_scene.wav")) << "as trained: without a scene";
  EXPECT_NE(bytes("trained.wav"), bytes("default.wav")) << "the base alone has the default scene";
  EXPECT_EQ(bytes("given.wav"), bytes("f2.wav")) << "a given scene wins";

  Json prompt = Json::parse(text_of(adapter / "higgs_prompt.json"));
  prompt["system_text"] =
      "Generate audio following instruction.\n\n<|scene_desc_start|>\nSpeaker: f2\n<|scene_desc_end|>";
  write_text(adapter / "higgs_prompt.json", prompt.dump());
  run(command("edited.wav") + text + Arguments{"--adapter", adapter});
  EXPECT_EQ(bytes("edited.wav"), bytes("f2.wav"));
}

TEST_F(Generate, PrintedSettingsGiveTheSameSpeech) {
  const fs::path adapter = idle_adapter();
  const Arguments all =
      command("a.wav") + Arguments{"--text", "four five", "--adapter", adapter, "--seed", "5"};
  run(all);
  write("c.toml", run(all + Arguments{"--print_config"}).out);
  run({"generate", "--config", scratch / "c.toml", "--out", scratch / "b.wav"});
  EXPECT_EQ(bytes("a.wav"), bytes("b.wav"));
}

TEST_F(Generate, SettingsOfTheBaseOutOfRangeAreNamed) {
  fs::copy(demo("base"), scratch / "base", fs::copy_options::recursive);
  for (const char* setting : {R"("temperature": 0)", R"("top_p": -1e9)", R"("ras_win_len": -1)"}) {
    const fs::path file = write("base/generation_config.json", std::string("{") + setting + "}");
    const ProcessResult result =
        higgs(command("x.wav") + Arguments{"--text", "one", "--base_ckpt", scratch / "base"});
    EXPECT_EQ(result.exit_code, 2) << setting;
    EXPECT_NE(result.err.find(file.string() + ": key '"), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(scratch / "x.wav"));
  }
}

TEST_F(Generate, TheBasesSamplingSettingsHoldUnlessAFlagIsGiven) {
  fs::copy(demo("base"), scratch / "base", fs::copy_options::recursive);
  write("base/generation_config.json",
        R"({"do_sample": true, "temperature": 0.5, "top_k": 3, "top_p": 0.9})");
  const Arguments text = {"--text", "four five", "--seed", "6"};
  const Arguments changed = {"--base_ckpt", scratch / "base"};
  const Arguments given = {"--temperature", "0.5", "--top_k", "3", "--top_p", "0.9"};
  run(command("file.wav") + text + changed);
  run(command("flags.wav") + text + given);
  run(command("default.wav") + text);
  EXPECT_EQ(bytes("file.wav"), bytes("flags.wav"));
  EXPECT_NE(bytes("file.wav"), bytes("default.wav"));
}

}  // namespace
}  // namespace higgs::test
