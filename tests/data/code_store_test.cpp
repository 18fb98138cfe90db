// Clips through the real codec of demo/ into a cache on disk.
#include "higgs/data/code_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs {
namespace {

fs::path demo() {
  return test::source_dir() / "demo";
}

constexpr std::int64_t kCodes = 256;  // of a codebook of demo/codec

CodeStore make_store(const fs::path& cache, CodecRule rule = CodecRule::kHf) {
  return CodeStore(
      [rule] {
        auto codec = std::make_unique<AudioTokenizer>(demo() / "codec");
        codec->set_rule(rule);
        return codec;
      },
      cache, 8, kCodes);
}

CodeStore store_without_codec() {
  return CodeStore([]() -> std::unique_ptr<AudioTokenizer> { throw UserError("no codec"); }, "", 8, 1024);
}

AudioContent clip(const std::string& url) {
  AudioContent content;
  content.audio_url = url;
  return content;
}

std::size_t count_files(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

TEST(CodeStore, EncodesAClipOnceWhateverItsName) {
  const test::TemporaryFolder folder;
  fs::copy_file(demo() / "voice/clips/val_03.flac", folder / "a.flac");
  fs::copy_file(demo() / "voice/clips/val_03.flac", folder / "b.flac");
  CodeStore first = make_store(folder / "cache");
  const Codes codes = first.codes(clip("a.flac"), folder.path(), "m:1");
  EXPECT_GT(codes.num_frames, 10);
  EXPECT_EQ(first.codes(clip("b.flac"), folder.path(), "m:2").values, codes.values);
  EXPECT_EQ(first.num_encoded(), 1);
  EXPECT_EQ(first.num_reused(), 1);

  CodeStore second = make_store(folder / "cache");
  EXPECT_EQ(second.codes(clip("a.flac"), folder.path(), "m:1").values, codes.values);
  EXPECT_EQ(second.num_encoded(), 0);
}

TEST(CodeStore, WhatChangesTheCodesChangesTheKey) {
  const test::TemporaryFolder folder;
  CodeStore store = make_store(folder / "cache");
  AudioContent part = clip("voice/clips/val_03.flac");
  const Codes whole = store.codes(part, demo(), "m:1");
  part.offset = 0.2;
  part.duration = 0.5;
  const Codes cut = store.codes(part, demo(), "m:1");
  EXPECT_LT(cut.num_frames, whole.num_frames);
  CodeStore other_rule = make_store(folder / "cache", CodecRule::kBoson);
  other_rule.codes(clip("voice/clips/val_03.flac"), demo(), "m:1");
  EXPECT_EQ(other_rule.num_encoded(), 1) << "the codec's rule is part of the key";
  EXPECT_EQ(count_files(folder / "cache"), 3u);
}

TEST(CodeStore, ADamagedCacheFileIsMadeAgain) {
  const test::TemporaryFolder folder;
  CodeStore store = make_store(folder / "cache");
  const Codes codes = store.codes(clip("voice/clips/val_03.flac"), demo(), "m:1");
  for (const auto& entry : fs::recursive_directory_iterator(folder / "cache")) {
    if (entry.is_regular_file()) fs::resize_file(entry.path(), 20);
  }
  CodeStore again = make_store(folder / "cache");
  EXPECT_EQ(again.codes(clip("voice/clips/val_03.flac"), demo(), "m:1").values, codes.values);
  EXPECT_EQ(again.num_encoded(), 1);
}

TEST(CodeStore, ACacheThatCannotBeWrittenStopsNothing) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "file", "not a folder");
  CodeStore store = make_store(folder / "file" / "cache");
  EXPECT_GT(store.codes(clip("voice/clips/val_03.flac"), demo(), "m:1").num_frames, 10);
}

TEST(CodeStore, TakesRawAudioLikeTheFileItHolds) {
  const test::TemporaryFolder folder;
  CodeStore store = make_store(folder / "cache");
  AudioContent inline_clip = clip("placeholder");
  // A 0.2 s WAV of a constant, in base64 by hand: too long to write out, so it is read from a file.
  write_wav(folder / "tone.wav", {std::vector<float>(4800, 0.25f), 24000});
  const std::string bytes = read_file(folder / "tone.wav");
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i + 2 < bytes.size() + 2; i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (int shift = 18; shift >= 0; shift -= 6) text += kDigits[group >> shift & 63];
  }
  const std::size_t padding = (3 - bytes.size() % 3) % 3;
  text.replace(text.size() - padding, padding, std::string(padding, '='));
  inline_clip.raw_audio = text;
  const Codes from_text = store.codes(inline_clip, folder.path(), "m:1");
  EXPECT_EQ(from_text.values, store.codes(clip("tone.wav"), folder.path(), "m:2").values);
  EXPECT_EQ(store.num_reused(), 1) << "the key is the clip's content, not its name";
}

TEST(CodeStore, EncodedClipsNeedNoCodec) {
  CodeStore store = store_without_codec();
  const Codes codes = store.codes(clip("codes/c0.safetensors"), test::golden("e2e"), "m:1");
  EXPECT_EQ(codes.num_codebooks, 8);
  EXPECT_EQ(codes.num_frames, 23);
}

TEST(CodeStore, SaysWhatIsWrongWithAClip) {
  const test::TemporaryFolder folder;
  const auto said = [&](const AudioContent& content) {
    CodeStore store = make_store(folder / "cache");
    return test::user_error([&] { store.codes(content, folder.path(), "m.jsonl:3"); });
  };
  EXPECT_NE(said(clip("none.wav")).find("none.wav: no such clip"), std::string::npos);
  EXPECT_NE(said(clip("https://a/b.wav")).find("not a local file"), std::string::npos);
  EXPECT_NE(said(clip("")).find("neither an audio_url nor raw_audio"), std::string::npos);
  write_file_atomically(folder / "text.wav", "this is no sound");
  EXPECT_NE(said(clip("text.wav")).find("text.wav"), std::string::npos);
  write_codes(folder / "four.safetensors", Codes{4, 2, std::vector<std::int16_t>(8, 1)});
  EXPECT_NE(said(clip("four.safetensors")).find("4 codebooks"), std::string::npos);
  write_codes(folder / "high.safetensors", Codes{8, 1, std::vector<std::int16_t>(8, std::int16_t{kCodes})});
  EXPECT_NE(said(clip("high.safetensors")).find("outside the codebook"), std::string::npos);
  for (const char* name : {"none.wav", "four.safetensors"})
    EXPECT_EQ(said(clip(name)).rfind("m.jsonl:3", 0), 0u);
}

TEST(CodeStore, RefusesACodecOfOtherCodebooks) {
  CodeStore store([] { return std::make_unique<AudioTokenizer>(demo() / "codec"); }, "", 8, 512);
  const std::string said =
      test::user_error([&] { store.codes(clip("val_03.flac"), demo() / "voice/clips", "m:1"); });
  EXPECT_EQ(said.find("the audio tokenizer has codebooks of 256 codes, the base of 512; give the one"), 0u)
      << said;
}

// Encoding takes memory by the second.
TEST(CodeStore, RefusesToEncodeElevenMinutesAtOnce) {
  const test::TemporaryFolder folder;
  write_wav(folder / "long.wav", Waveform{std::vector<float>(4000 * 660, 0.0f), 4000});
  CodeStore store = make_store("");
  const std::string said = test::user_error([&] { store.codes(clip("long.wav"), folder.path(), "m:1"); });
  EXPECT_NE(said.find("m:1: "), std::string::npos) << said;
  EXPECT_NE(said.find("660 s long, at most 600 s are encoded as one clip"), std::string::npos) << said;
}

}  // namespace
}  // namespace higgs
