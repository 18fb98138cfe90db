// The 97 lines that boson_multimodal's prepare_chatml_sample was given, and what it made of them (goldens
// boson/chatml).
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/data/chatml.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {

struct ChatMLCase {
  std::string name;
  std::string line;
  Json expected;
};

inline std::vector<ChatMLCase> chatml_cases() {
  const std::vector<std::string> lines = lines_of(text_of(golden("boson/chatml/manifest.jsonl")));
  const std::vector<std::string> expected = lines_of(text_of(golden("boson/chatml/expected.jsonl")));
  EXPECT_EQ(lines.size(), 97u);
  EXPECT_EQ(lines.size(), expected.size());
  std::vector<ChatMLCase> cases;
  for (std::size_t i = 0; i < std::min(lines.size(), expected.size()); ++i) {
    Json json = parse_json(expected[i], "expected.jsonl");
    EXPECT_EQ(json.at("line"), i);
    const std::string name = json.at("name");
    cases.push_back({name, lines[i], std::move(json)});
  }
  return cases;
}

inline Json or_null(const auto& value) {
  return value ? Json(*value) : Json(nullptr);
}

// A clip as the reference's dataclasses print it.
inline Json as_json(const AudioContent& audio) {
  if (audio.text) return {{"text", *audio.text}, {"type", "audio"}};
  return {{"audio_url", audio.audio_url},    {"raw_audio", or_null(audio.raw_audio)},
          {"offset", or_null(audio.offset)}, {"duration", or_null(audio.duration)},
          {"row_id", or_null(audio.row_id)}, {"type", "audio"}};
}

inline Json as_json(const std::vector<AudioContent>& audios) {
  Json all = Json::array();
  for (const AudioContent& audio : audios) all.push_back(as_json(audio));
  return all;
}

// The whole Llama vocabulary, which is not ours to publish: nothing where it isn't.
inline std::unique_ptr<Tokenizer> llama_tokenizer() {
  const auto packed = external("data/tokenizer/tokenizer.json.gz");
  if (!packed) return nullptr;
  const TemporaryFolder folder;
  const std::string unpack =
      "gzip -dc '" + packed->string() + "' > '" + (folder / "tokenizer.json").string() + "'";
  EXPECT_EQ(std::system(unpack.c_str()), 0);
  return load_tokenizer(folder.path());
}
inline constexpr const char* kNoLlamaTokenizer =
    "the Llama tokenizer is not here: data/tokenizer/tokenizer.json.gz";

}  // namespace higgs::test
