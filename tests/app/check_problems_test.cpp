// Every kind of problem that `check` finds, by the line it says.
#include "check_case.h"

namespace higgs::test {
namespace {

class CheckProblems : public CheckTest {
 protected:
  static constexpr const char* kText = "A text of some forty letters for three seconds.";

  std::string one(const Sound& sound) const { return spoken(kText, wav("a.wav", sound)); }
};

TEST_F(CheckProblems, ASoundSampleHasNone) {
  expect_problems(one({}), 0, {});
}

TEST_F(CheckProblems, Forms) {
  expect_problems("{\n", 2, {"error: "});
  expect_problems(R"({"messages": [{"role": "user", "text": "x"}]})"
                  "\n",
                  2, {"error: message 1: unknown key 'text'"});
}

TEST_F(CheckProblems, RolesAndTurns) {
  wav("a.wav", {});
  expect_problems(
      line({text("narrator", kText), clip("assistant", "a.wav")}), 2,
      {"error: message 1 has the role 'narrator', which the model doesn't know; write system, user",
       "warning: message 2 is a clip without a text before it; write what it says"});
  expect_problems(line(Json::array({text("user", kText)})), 2,
                  {"error: the last turn isn't the assistant's"});
  expect_problems(line(Json::array()), 2, {"error: the last turn isn't the assistant's"});
  expect_problems(line({text("user", kText), clip("assistant", "a.wav")}, 2), 2,
                  {"error: start_index 2 leaves no turn to be learnt of 2; it counts messages from 0"});
  expect_problems(line({text("user", kText), text("assistant", "Fine.")}), 0,
                  {"warning: the last turn holds no clip: the model learns to answer in writing"});
  expect_problems(
      line(
          {text("user", kText),
           {{"role", "assistant"},
            {"content", {{{"type", "image"}, {"text", "x"}}, {{"type", "audio"}, {"audio_url", "a.wav"}}}}}}),
      0, {"warning: message 2 has a content whose type is neither text nor audio"});
}

TEST_F(CheckProblems, ClipsThatCannotBeRead) {
  const std::string folder = scratch.path().string() + "/";
  expect_problems(spoken(kText, "no.wav"), 2, {"error: " + folder + "no.wav: no such clip"});
  fs::create_directory(scratch / "dir");
  expect_problems(spoken(kText, "dir"), 2, {"error: " + folder + "dir: is no file of sound"});
  write("text.wav", "no sound");
  expect_problems(spoken(kText, "text.wav"), 2, {"error: " + folder + "text.wav: is not an audio file"});
  expect_problems(spoken(kText, "https://x.org/a.wav"), 2, {"error: audio_url 'https://x.org/a.wav' is not"});
  expect_problems(spoken(kText, (scratch / "good.wav").string()), 2,
                  {"error: " + folder + "good.wav: an absolute path, which --confine_paths forbids"},
                  {"--confine_paths"});
}

TEST_F(CheckProblems, Sound) {
  Sound sound;
  sound.amplitude = 0.002;
  expect_problems(one(sound), 2, {"error: a.wav: nothing in it is louder than -50 dB; remove or replace"});
  sound.amplitude = 0.01;
  expect_problems(one(sound), 0, {"warning: a.wav: -43.7 LUFS, outside -35 to -10; bring"});
  sound.amplitude = 1.5;
  expect_problems(
      one(sound), 0,
      {"warning: a.wav: clipped in 2640 places; record with less gain", "warning: a.wav: -2.2 LUFS"});
  sound.amplitude = 0.3;
  sound.rate = 16000;
  expect_problems(one(sound), 0, {"warning: a.wav: 16000 Hz, below the model's 24000"});
}

TEST_F(CheckProblems, Ends) {
  Sound sound;
  sound.before = 0.75;
  expect_problems(
      one(sound), 0,
      {"warning: a.wav: 0.75 s of silence before the voice, 0.10 s after it; cut them down to 0.7 s"});
  sound.before = 0.65;
  sound.after = 0.04;
  expect_problems(one(sound), 0,
                  {"warning: a.wav: the voice goes on to the last 50 ms; is the end cut off?"});
  sound.after = 0.8;
  expect_problems(one(sound), 0, {"warning: a.wav: 0.65 s of silence before the voice, 0.80 s after it"});
}

TEST_F(CheckProblems, Length) {
  Sound sound;
  sound.seconds = 5.0;
  expect_problems(one(sound), 2, {"error: a.wav: 5.20 s are more than --max_tokens 100; cut it"},
                  {"--max_tokens", "100"});
  sound.seconds = 601.0;
  sound.rate = 1000;
  const std::string long_text(6000, 'a');
  expect_problems(spoken(long_text, wav("a.wav", sound)), 2,
                  {"error: a.wav: 601.20 s, at most 600 s are encoded; cut it", "warning: a.wav: 1000 Hz"},
                  {"--max_tokens", "100000"});
}

TEST_F(CheckProblems, SpeechRate) {
  expect_problems(spoken("Yes.", wav("a.wav", {})), 0,
                  {"warning: 1.0 characters a second (Latin, 3 in 3.0 s), more or less than one can speak"});
  const std::string han = "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六";
  expect_problems(spoken(han, "a.wav"), 0, {"warning: 12.0 characters a second (Han, 36 in 3.0 s)"});
  expect_problems(spoken("[SPEAKER0] " + std::string(200, 'a'), "a.wav"), 0,
                  {"warning: 66.7 characters a second"});
  expect_problems(spoken("[a b c d e f g h]", "a.wav"), 0, {"warning: message 3 is a clip without a text"});
}

TEST_F(CheckProblems, Duplicates) {
  const std::string other = spoken("Something else is said in this clip here.", wav("b.wav", {}));
  expect_problems(one({}) + other, 0, {"warning: b.wav: the same sound as in line 1; keep one"}, {}, 2);
  wav("b.wav", tone(500));
  expect_problems(one({}) + spoken("a text of SOME forty letters, for three seconds", "b.wav"), 0,
                  {"warning: the same text by the same speaker as in line 1"}, {}, 2);
}

TEST_F(CheckProblems, References) {
  wav("a.wav", {});
  Sound sound = tone(500);
  const auto cloning = [&](const std::string& reference) {
    return line({text("user", "The reference says so much in its time."), clip("assistant", reference),
                 text("user", kText), clip("assistant", "a.wav")},
                3);
  };
  expect_problems(cloning(wav("r.wav", sound)), 0, {});
  sound.seconds = 2.0;
  expect_problems(cloning(wav("r.wav", sound)), 0,
                  {"warning: r.wav: a reference of 2.20 s; 3 to 15 s are followed best"});
  sound.seconds = 15.0;
  expect_problems(cloning(wav("r.wav", sound)), 0,
                  {"warning: r.wav: a reference of 15.20 s; 3 to 15 s",
                   "warning: 2.1 characters a second (Latin, 31 in 15.0 s)"});
  expect_problems(cloning(wav("r.wav", {})), 2,
                  {"error: r.wav: the reference is the very clip that is to be said"});
}

TEST_F(CheckProblems, SpecialTokens) {
  wav("a.wav", {});
  expect_problems(spoken(std::string(kText) + "<|eot_id|>", "a.wav"), 0,
                  {"warning: a text holds '<|eot_id|>', which the model takes for a special token"});
  expect_problems(spoken(std::string(kText) + "<|AUDIO|>", "a.wav"), 2,
                  {"error: a text holds <|AUDIO|> literally, for which there is no clip"});
  expect_problems(line({text("system", "<|scene_desc_start|>A hall.<|scene_desc_end|>"), text("user", kText),
                        clip("assistant", "a.wav")}),
                  0, {});
}

// With the tokenizer at hand only what it knows counts.
TEST_F(CheckProblems, OfABase) {
  wav("a.wav", {});
  const Arguments base = demo_base();
  expect_problems(spoken(std::string(kText) + "<|eot_id|> <|no such token|>", "a.wav"), 0,
                  {"warning: a text holds '<|eot_id|>'"}, base);
  expect_problems(spoken(std::string(kText) + "<|AUDIO|>", "a.wav"), 2,
                  {"error: a text holds <|AUDIO|> literally"}, base);
  const std::string heard =
      line({clip("user", wav("r.wav", tone(500))), text("user", kText), clip("assistant", "a.wav")});
  expect_problems(
      heard, 0,
      {"warning: a clip in a user or system turn (<|AUDIO|>) on a base in the HF layout: it can be "
       "trained, but transformers can't serve it"},
      base);
  write_wav(scratch / "tiny.wav", Waveform{{0.3F, -0.3F, 0.3F}, 24000});
  expect_problems(
      spoken(kText, "tiny.wav"), 2,
      {"error: tiny.wav: 0.00 s give no frame of the audio tokenizer", "warning: tiny.wav: the voice"}, base);
  expect_problems(line({text("tool", kText), clip("assistant", "a.wav")}), 2,
                  {"error: message 1 has the role 'tool'", "warning: message 2 is a clip without"}, base);
}

}  // namespace
}  // namespace higgs::test
