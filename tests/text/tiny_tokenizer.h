// A byte-level tokenizer.json of 256 bytes and a few merges, to be changed by each test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/text/byte_alphabet.h"
#include "higgs/text/tokenizer.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {

constexpr std::int64_t kFirstMerged = 256;  // ids 0..255 are the bytes themselves

inline Json added_token(const std::string& content, std::int64_t id, bool special = true) {
  return {{"id", id},        {"content", content}, {"special", special},  {"normalized", false},
          {"lstrip", false}, {"rstrip", false},    {"single_word", false}};
}

// `merged`: the tokens after the bytes. `merges`: pairs in order of rank.
inline Json tiny_tokenizer(const std::vector<std::string>& merged, const Json& merges) {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[symbol_of_byte(static_cast<unsigned char>(byte))] = byte;
  for (const std::string& token : merged) vocabulary.emplace(token, vocabulary.size());
  return {{"version", "1.0"},
          {"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"ignore_merges", false}, {"vocab", vocabulary}, {"merges", merges}}}};
}

inline std::unique_ptr<Tokenizer> load(const Json& file) {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", file.dump());
  return load_tokenizer(folder.path());
}

using Ids = std::vector<std::int64_t>;

}  // namespace higgs::test
