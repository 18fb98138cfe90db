// `generate` with many texts at once and with long ones, spoken by the digit speaker of demo/.
#include <cmath>

#include "app_test.h"
#include "higgs/audio/waveform.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {
namespace {

// A small letter goes on with a sentence, and the demo knows no other: cut at semicolons.
constexpr const char* kLong = "one two; three four five; six seven.";
constexpr const char* kSystem = "Generate audio following instruction.";

class GenerateLong : public AppTest {
 protected:
  Arguments command(const std::string& out) const {
    return Arguments{"generate", "--out", scratch / (out + ".wav"), "--out_codes",
                     scratch / (out + ".safetensors")} +
           demo_base();
  }
  std::string bytes(const std::string& name) const { return text_of(scratch / name); }
  std::vector<float> samples(const std::string& name) const {
    return read_audio_file(scratch / (name + ".wav")).samples;
  }
  // Codes [8, T], a codebook after the other.
  std::vector<std::int64_t> codes(const std::string& name) const {
    return SafetensorsFile(scratch / (name + ".safetensors")).integers("codes");
  }
  std::int64_t num_frames(const std::string& name) const { return std::ssize(codes(name)) / 8; }
  // Frames [begin, end) of them.
  std::vector<std::int64_t> codes(const std::string& name, std::int64_t begin, std::int64_t end) const {
    const std::vector<std::int64_t> all = codes(name);
    const std::int64_t frames = std::ssize(all) / 8;
    std::vector<std::int64_t> part;
    for (std::int64_t k = 0; k < 8; ++k)
      part.insert(part.end(), all.begin() + k * frames + begin, all.begin() + k * frames + end);
    return part;
  }
};

TEST_F(GenerateLong, TextsSpokenTogetherAreThoseSpokenAlone) {
  write("texts.txt",
        "eight seven four five four\nfour five six\nsix\nnine five five eight\none\ntwo two zero\n");
  for (const Arguments& how : {Arguments{"--greedy"}, Arguments{"--seed", "7"}}) {
    const Arguments texts = Arguments{"--text_file", scratch / "texts.txt"} + how;
    run(command("alone/v") + texts + Arguments{"--batch_size", "1"});
    run(command("three/v") + texts + Arguments{"--batch_size", "3"});
    run(command("all/v") + texts);
    const auto alone = snapshot(scratch / "alone");
    ASSERT_EQ(alone.size(), 12u);
    EXPECT_EQ(snapshot(scratch / "three"), alone);
    EXPECT_EQ(snapshot(scratch / "all"), alone);
  }
}

TEST_F(GenerateLong, ALongTextIsSpokenChunkByChunk) {
  const ProcessResult result =
      run(command("long") + Arguments{"--text", kLong, "--greedy", "--chunk_chars", "18"});
  EXPECT_NE(result.err.find("prompt: chunk 1 of 3: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(" s in 3 chunks, all stopped by themselves"), std::string::npos) << result.err;
  run(command("first") + Arguments{"--text", "one two;", "--greedy"});
  const std::int64_t first = num_frames("first");
  EXPECT_GT(num_frames("long"), first + 20);
  EXPECT_EQ(codes("long", 0, first), codes("first"));
  EXPECT_EQ(std::ssize(samples("long")), 960 * num_frames("long"));
}

TEST_F(GenerateLong, AShortTextIsNotCutAndZeroNeverCuts) {
  const Arguments text = {"--text", kLong, "--greedy"};
  run(command("default") + text);
  run(command("never") + text + Arguments{"--chunk_chars", "0"});
  EXPECT_EQ(bytes("default.wav"), bytes("never.wav"));
  const ProcessResult result =
      run(command("long") + Arguments{"--greedy", "--max_seconds", "0.4", "--text",
                                      std::string(290, 'a') + ". One more sentence."});
  EXPECT_NE(result.err.find("in 2 chunks"), std::string::npos) << result.err;
}

// What stands before a chunk is what a manifest with the same turns gives.
TEST_F(GenerateLong, ChunksSpokenBeforeAreTheNextOnesContext) {
  const Arguments text = {"--text", kLong, "--greedy", "--chunk_chars", "18", "--scene", ""};
  run(command("two") + text);
  run(command("one") + text + Arguments{"--chunk_context", "1"});
  run(command("none") + text + Arguments{"--chunk_context", "0"});
  run(command("first") + Arguments{"--text", "one two;", "--greedy", "--scene", ""});
  const std::int64_t first = num_frames("first");
  const auto after = [&](const std::string& name, const std::vector<Json>& turns) {
    Json messages = Json::array();
    messages.push_back({{"role", "system"}, {"content", kSystem}});
    for (const Json& turn : turns) messages.push_back(turn);
    messages.push_back(
        {{"role", "assistant"},
         {"content", {{"type", "audio"}, {"audio_url", (scratch / "first.safetensors").string()}}}});
    write(name + ".jsonl", Json{{"messages", messages}}.dump() + "\n");
    run(command(name) + Arguments{"--manifest", scratch / (name + ".jsonl"), "--greedy"});
  };
  const auto said = [](const char* words) { return Json{{"role", "user"}, {"content", words}}; };
  const auto spoken = [&](const std::string& name) {
    return Json{
        {"role", "assistant"},
        {"content", {{"type", "audio"}, {"audio_url", (scratch / (name + ".safetensors")).string()}}}};
  };
  after("second", {said("one two;"), spoken("first"), said("three four five;")});
  const std::int64_t second = first + num_frames("second");
  EXPECT_EQ(codes("two", first, second), codes("second"));
  EXPECT_EQ(codes("one", first, second), codes("second"));
  after("third",
        {said("one two;"), spoken("first"), said("three four five;"), spoken("second"), said("six seven.")});
  after("third_of_one", {said("three four five;"), spoken("second"), said("six seven.")});
  after("second_of_none", {said("three four five;")});
  EXPECT_EQ(codes("two", second, num_frames("two")), codes("third"));
  EXPECT_EQ(codes("one", second, num_frames("one")), codes("third_of_one"));
  EXPECT_EQ(codes("none", first, first + num_frames("second_of_none")), codes("second_of_none"));
  EXPECT_NE(codes("second"), codes("second_of_none")) << "the context changes something";
}

TEST_F(GenerateLong, TheReferenceStandsBeforeEveryChunk) {
  const Arguments text = {"--text", kLong, "--greedy", "--chunk_chars", "18", "--chunk_context", "0"};
  const Arguments reference = {"--ref_audio", demo("voice/clips/val_00.flac"), "--ref_text", demo_text(0)};
  run(command("long") + text + reference);
  run(command("first") + Arguments{"--text", "one two;", "--greedy"} + reference);
  run(command("second") + Arguments{"--text", "three four five;", "--greedy"} + reference);
  const std::int64_t first = num_frames("first");
  EXPECT_EQ(codes("long", 0, first), codes("first"));
  EXPECT_EQ(codes("long", first, first + num_frames("second")), codes("second"));
}

// Neighbouring samples at a joint differ no more than they do within the speech.
TEST_F(GenerateLong, NothingClicksAtTheJoints) {
  run(command("long") + Arguments{"--text", kLong, "--greedy", "--chunk_chars", "18"});
  run(command("first") + Arguments{"--text", "one two;", "--greedy"});
  const std::vector<float> sound = samples("long");
  const std::size_t joint = static_cast<std::size_t>(960 * num_frames("first"));
  float at_joint = 0, elsewhere = 0;
  for (std::size_t i = 1; i < sound.size(); ++i) {
    const bool near = i + 480 > joint && i < joint + 480;
    float& largest = near ? at_joint : elsewhere;
    largest = std::max(largest, std::abs(sound[i] - sound[i - 1]));
  }
  EXPECT_LT(at_joint, elsewhere);
}

TEST_F(GenerateLong, AChunkThatDoesNotStopIsSaidAndIsNoContext) {
  const Arguments text = {"--text", kLong, "--greedy", "--chunk_chars", "18", "--max_seconds", "0.4"};
  const ProcessResult result = run(command("with") + text);
  EXPECT_NE(result.err.find("prompt: chunk 1 of 3: 0.40 s, did not stop"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("3 did not stop"), std::string::npos) << result.err;
  EXPECT_EQ(num_frames("with"), 30) << "the limit holds for each";
  run(command("without") + text + Arguments{"--chunk_context", "0"});
  EXPECT_EQ(codes("with"), codes("without"));
}

TEST_F(GenerateLong, LongTextsAreSpokenTogetherToo) {
  write("texts.txt", std::string(kLong) + "\nnine\neight seven six; five four three.\n");
  const Arguments texts = {"--text_file", scratch / "texts.txt", "--chunk_chars", "18", "--seed", "2"};
  run(command("alone/v") + texts + Arguments{"--batch_size", "1"});
  run(command("all/v") + texts);
  EXPECT_EQ(snapshot(scratch / "all"), snapshot(scratch / "alone"));
}

TEST_F(GenerateLong, BytesThatAreNoUtf8AreRefusedOrSpokenButNeverCutApart) {
  const ProcessResult result =
      higgs(command("bad") + Arguments{"--text", "one \xFF two. three \xE4\xB8 four.", "--chunk_chars", "10",
                                       "--max_seconds", "0.4"});
  EXPECT_EQ(result.signal, 0);
  EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 2) << result.err;
}

}  // namespace
}  // namespace higgs::test
