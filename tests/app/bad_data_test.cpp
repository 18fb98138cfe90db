// Mistakes in manifests and clips: one line naming file, line and cause, exit code 2, nothing written.
#include <cstring>

#include "app_test.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {
namespace {

// A 24 kHz mono 16-bit WAV of silence.
std::string silent_wav(std::uint32_t num_samples) {
  const auto u32 = [](std::uint32_t v) { return std::string(reinterpret_cast<const char*>(&v), 4); };
  const auto u16 = [](std::uint16_t v) { return std::string(reinterpret_cast<const char*>(&v), 2); };
  const std::uint32_t bytes = 2 * num_samples;
  return "RIFF" + u32(36 + bytes) + "WAVEfmt " + u32(16) + u16(1) + u16(1) + u32(24000) + u32(48000) +
         u16(2) + u16(16) + "data" + u32(bytes) + std::string(bytes, '\0');
}

class BadData : public RefusalTest {
 protected:
  fs::path good() const { return write("good.jsonl", first_lines(golden("e2e/manifest.jsonl"), 2)); }

  // A manifest whose second line is the bad one.
  fs::path second_line(const std::string& name, const std::string& line) const {
    return write(name, first_lines(golden("e2e/manifest.jsonl"), 1) + line);
  }

  void write_codes_file(const std::string& name, std::vector<std::int64_t> shape,
                        const std::vector<std::int16_t>& codes) const {
    const auto* bytes = reinterpret_cast<const std::byte*>(codes.data());
    write_safetensors(scratch / name, {{"codes", DType::kI16, std::move(shape), {bytes, 2 * codes.size()}}});
  }
};

TEST_F(BadData, EmptyManifest) {
  const fs::path path = write("empty.jsonl", "");
  expect_refused(train(path) + golden_base(), {path, "holds no sample"});
}

TEST_F(BadData, ManifestOfBlankLines) {
  const fs::path path = write("blank.jsonl", "\n \n\r\n");
  expect_refused(train(path) + golden_base(), {path, "holds no sample"});
}

TEST_F(BadData, MissingManifest) {
  expect_refused(train(scratch / "none.jsonl") + golden_base(), {scratch / "none.jsonl", "No such file"});
}

TEST_F(BadData, BrokenJsonIsNamedByItsLine) {
  const fs::path path = second_line("broken.jsonl", "\n{\"messages\": [\n");
  expect_refused(train(path) + golden_base(), {path.string() + ":3: not valid JSON"});
}

TEST_F(BadData, BrokenValidationManifest) {
  const fs::path path = write("val.jsonl", "nothing\n");
  expect_refused(train(good()) + golden_base() + Arguments{"--val_manifest", path},
                 {path.string() + ":1: not valid JSON"});
}

TEST_F(BadData, JsonThatIsNoSample) {
  const fs::path path = second_line("other.jsonl", "{\"text\": \"hello\"}\n");
  expect_refused(train(path) + golden_base(), {path.string() + ":2: ", "messages"});
}

TEST_F(BadData, MissingClip) {
  const fs::path path = second_line("m.jsonl", spoken("one", "nowhere.wav"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "nowhere.wav", "no such clip"});
}

TEST_F(BadData, LineBreaksInANameDoNotBreakTheLine) {
  const fs::path path = second_line("m.jsonl", spoken("one", "no\nwhere.wav"));
  expect_refused(train(path) + golden_base(), {path.string() + ":2: ", "no where.wav", "no such clip"});
}

TEST_F(BadData, ClipWithoutSamples) {
  write("zero.wav", silent_wav(0));
  const fs::path path = second_line("m.jsonl", spoken("one", "zero.wav"));
  expect_refused(train(path) + golden_base(), {path.string() + ":2: ", scratch / "zero.wav", "no samples"});
}

TEST_F(BadData, ClipOfZeroBytes) {
  write("zero.wav", "");
  const fs::path path = second_line("m.jsonl", spoken("one", "zero.wav"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "zero.wav", "not an audio file"});
}

TEST_F(BadData, ClipTooShortForTheCodec) {
  write("short.wav", silent_wav(100));
  const fs::path path = second_line("m.jsonl", spoken("one", "short.wav"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "short.wav", "100 samples", "at least 119 samples"});
}

TEST_F(BadData, TextFileNamedWav) {
  write("text.wav", "This is a text, not a recording.\n");
  const fs::path path = second_line("m.jsonl", spoken("one", "text.wav"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "text.wav", "not an audio file"});
}

TEST_F(BadData, ClipsOutsideTheFolderWhenConfined) {
  fs::create_directories(scratch / "set");
  fs::copy_file(golden("e2e/codes/c0.safetensors"), scratch / "outside.safetensors");
  fs::create_symlink(scratch / "outside.safetensors", scratch / "set/link.safetensors");
  const fs::path out = scratch / "o.safetensors";
  for (const std::string url : {"../outside.safetensors", "link.safetensors"}) {
    const fs::path path = write("set/m.jsonl", spoken("one", url));
    const std::vector<std::string> parts = {path.string() + ":1: ", url, "--confine_paths"};
    const Arguments confined = golden_base() + Arguments{"--confine_paths"};
    expect_refused(train(path) + confined, parts);
    expect_refused(Arguments{"encode", "--manifest", path} + confined, parts);
    expect_refused(Arguments{"evaluate", "--manifest", path} + confined, parts);
    expect_refused(Arguments{"inspect", "codes", "--manifest", path, "--out", out} + confined, parts);
    expect_refused(Arguments{"inspect", "forward", "--manifest", path, "--out", out} + confined, parts);
    run(Arguments{"inspect", "codes", "--manifest", path, "--out", out} + golden_base());
    fs::remove(out);
  }
}

TEST_F(BadData, ClipOnTheNetwork) {
  const fs::path path = second_line("m.jsonl", spoken("one", "https://example.org/one.wav"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", "https://example.org/one.wav", "not a local file"});
}

TEST_F(BadData, EncodedClipOfSevenCodebooks) {
  write_codes_file("c.safetensors", {7, 4}, std::vector<std::int16_t>(28, 1));
  const fs::path path = second_line("m.jsonl", spoken("one", "c.safetensors"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "c.safetensors", "7 codebooks", "8"});
}

TEST_F(BadData, EncodedClipWithACodeOutOfRange) {
  for (const std::int16_t code : {1024, -1}) {
    std::vector<std::int16_t> codes(32, 1);
    codes[17] = code;
    write_codes_file("c.safetensors", {8, 4}, codes);
    const fs::path path = second_line("m.jsonl", spoken("one", "c.safetensors"));
    expect_refused(train(path) + golden_base(),
                   {path.string() + ":2: ", scratch / "c.safetensors", std::to_string(code)});
  }
}

TEST_F(BadData, TruncatedEncodedClip) {
  write_codes_file("c.safetensors", {8, 4}, std::vector<std::int16_t>(32, 1));
  fs::resize_file(scratch / "c.safetensors", fs::file_size(scratch / "c.safetensors") - 1);
  const fs::path path = second_line("m.jsonl", spoken("one", "c.safetensors"));
  expect_refused(train(path) + golden_base(),
                 {path.string() + ":2: ", scratch / "c.safetensors", "truncated"});
}

TEST_F(BadData, SampleLongerThanMaxTokens) {
  expect_refused(train(good()) + golden_base() + Arguments{"--max_tokens", "85"},
                 {scratch / "good.jsonl", ":2: 104 tokens", "--max_tokens 85", "--on_too_long skip"});
}

TEST_F(BadData, ManifestWithNothingLeftAfterSkipping) {
  const fs::path path = write("m.jsonl", spoken("one", "nowhere.wav"));
  expect_refused(train(path) + golden_base() + Arguments{"--skip_bad_samples"},
                 {path, "no usable sample is left"});
}

TEST_F(BadData, LongSamplesAreSkippedWhenAsked) {
  const ProcessResult result =
      run(train(good()) + golden_base() + Arguments{"--max_tokens", "85", "--on_too_long", "skip"});
  EXPECT_NE(result.err.find("warning " + (scratch / "good.jsonl").string() + ":2: 104 tokens"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find(" 1 training samples"), std::string::npos) << result.err;
  EXPECT_TRUE(fs::exists(scratch / "run/adapter/adapter_model.safetensors"));
}

TEST_F(BadData, BadSamplesAreSkippedWhenAsked) {
  const fs::path path =
      write("m.jsonl", "{\n" + first_lines(golden("e2e/manifest.jsonl"), 2) + spoken("one", "nowhere.wav"));
  const ProcessResult result = run(train(path) + golden_base() + Arguments{"--skip_bad_samples"});
  for (const char* line : {":1: ", ":4: "}) {
    EXPECT_NE(result.err.find("warning " + path.string() + line), std::string::npos) << result.err;
  }
  EXPECT_NE(result.err.find(" 2 training samples"), std::string::npos) << result.err;
  EXPECT_TRUE(fs::exists(scratch / "run/adapter/adapter_model.safetensors"));
}

}  // namespace
}  // namespace higgs::test
