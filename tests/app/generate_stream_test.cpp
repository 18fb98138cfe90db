// `generate --stream` and `--out -`.
#include <cmath>
#include <cstring>

#include "app_test.h"
#include "higgs/audio/waveform.h"
#include "higgs/formats/safetensors.h"
#include "support/terminal.h"

namespace higgs::test {
namespace {

constexpr std::size_t kHeader = 44;

class GenerateStream : public AppTest {
 protected:
  Arguments command(const std::string& out) const {
    return Arguments{"generate", "--out", out == "-" ? out : (scratch / out).string()} + demo_base();
  }
  std::vector<float> samples(const std::string& name) const {
    return read_audio_file(scratch / name).samples;
  }
  // Within rounding: a step of 16 bits at most.
  static void expect_same_sound(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1.1f / 32768) << i;
  }
};

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

TEST_F(GenerateStream, TheStreamedSoundIsTheWholeOne) {
  write("texts.txt", "eight seven four five four\nsix\none two; three four; five six seven eight.\n");
  const Arguments texts = {"--text_file", scratch / "texts.txt", "--seed", "3", "--chunk_chars", "12"};
  run(command("whole/v.wav") + texts + Arguments{"--out_codes", scratch / "whole/v.safetensors"});
  const ProcessResult result = run(command("stream/v.wav") + texts +
                                   Arguments{"--stream", "--out_codes", scratch / "stream/v.safetensors"});
  EXPECT_NE(result.err.find("v_000.wav: "), std::string::npos) << result.err;
  for (const std::string name : {"v_000", "v_001", "v_002"}) {
    expect_same_sound(samples("stream/" + name + ".wav"), samples("whole/" + name + ".wav"));
    EXPECT_EQ(text_of(scratch / ("stream/" + name + ".safetensors")),
              text_of(scratch / ("whole/" + name + ".safetensors")));
  }
  const std::string bytes = text_of(scratch / "stream/v_000.wav");
  EXPECT_EQ(number_at(bytes, 4), bytes.size() - 8);
  EXPECT_EQ(number_at(bytes, 40), bytes.size() - kHeader);
}

TEST_F(GenerateStream, StdoutGetsTheSoundAndNothingElse) {
  const Arguments text = {"--text", "four five six", "--greedy"};
  run(command("a.wav") + text + Arguments{"--stream"});
  const ProcessResult result = run(command("-") + text + Arguments{"--out_codes", scratch / "a.safetensors"});
  EXPECT_NE(result.err.find("stdout: "), std::string::npos) << result.err;
  const std::string file = text_of(scratch / "a.wav");
  ASSERT_EQ(result.out.size(), file.size());
  EXPECT_EQ(result.out.substr(kHeader), file.substr(kHeader));
  EXPECT_EQ(result.out.substr(0, 4), "RIFF");
  EXPECT_EQ(number_at(result.out, 4), 0xFFFFFFFFu);
  EXPECT_EQ(number_at(result.out, 40), 0xFFFFFFFFu);
  EXPECT_FALSE(fs::exists("-"));
  EXPECT_EQ(SafetensorsFile(scratch / "a.safetensors").at("codes").shape[1] * 1920,
            static_cast<std::int64_t>(file.size() - kHeader));
}

// Sound and messages in one pipe: a chunk's sound is out before the next one's message.
TEST_F(GenerateStream, TheSoundComesWhileItIsSpoken) {
  std::string line;
  for (const std::string& word :
       Arguments{program()} + command("-") +
           Arguments{"--text", "one two three four five six; five six seven eight zero one; nine zero one.",
                     "--greedy", "--chunk_chars", "31"})
    line += "'" + word + "' ";
  const ProcessResult result = run_process({"/bin/sh", "-c", line + "2>&1"}, environment());
  EXPECT_EQ(result.exit_code, 0);
  const std::size_t second = result.out.find("chunk 2 of 3: "), third = result.out.find("chunk 3 of 3: ");
  ASSERT_NE(third, std::string::npos);
  EXPECT_GT(second, kHeader + 1920 * 5u) << "the first chunk, but for what a later frame may change";
  EXPECT_GT(third - second, 1920 * 2u);
}

TEST_F(GenerateStream, AClosedPipeEndsIt) {
  std::string line;
  for (const std::string& word :
       Arguments{program()} + command("-") + Arguments{"--text", "one two", "--greedy"})
    line += "'" + word + "' ";
  EXPECT_EQ(run_process({"/bin/sh", "-c", line + "| head -c 44 | wc -c"}, environment()).out, "44\n");
}

TEST_F(GenerateStream, ATerminalGetsNoSound) {
  const TerminalResult result =
      in_terminal(100, Arguments{program()} + command("-") + Arguments{"--text", "one"}, environment());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.bytes.find("--out -: stdout is a terminal"), std::string::npos) << result.bytes;
  EXPECT_EQ(result.bytes.find("RIFF"), std::string::npos);
}

class GenerateRefusals : public RefusalTest {};

TEST_F(GenerateRefusals, WhatCannotGoToStdout) {
  const Arguments to_stdout = Arguments{"generate", "--out", "-"} + demo_base();
  const fs::path texts = write("texts.txt", "one\ntwo\n");
  expect_refused(to_stdout + Arguments{"--text_file", texts},
                 {"--out - takes one text, and there are 2", "--out NAME.wav"});
  expect_refused(to_stdout + Arguments{"--text", "one", "--out_codes", "-"},
                 {"--out_codes -: codes can't go to stdout"});
}

}  // namespace
}  // namespace higgs::test
