// Byte-level byte pair encoding: the `model` of a tokenizer.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/text/added_tokens.h"
#include "higgs/text/text_hash.h"

namespace higgs {

// Ids lie in [0, kMaxTokenId). Any number of threads may use one object.
class BpeModel {
 public:
  // Reads type, vocab, merges and ignore_merges; UserError naming the key when one is wrong, or when an
  // option is set that byte-level BPE has no use for (dropout, byte_fallback, prefixes and suffixes).
  explicit BpeModel(const JsonObject& model);
  BpeModel(const BpeModel&) = delete;
  BpeModel& operator=(const BpeModel&) = delete;

  // Appends the ids of one word, given as plain bytes. Takes O(n log n) for n bytes.
  void encode_word(std::string_view word, std::vector<std::int64_t>& ids) const;

  // By the text the vocabulary has: "Ġhello", not " hello".
  std::optional<std::int64_t> find(std::string_view token) const;
  // The bytes of a token, or its own text if that isn't written in the byte alphabet; null for unknown ids.
  const std::string* bytes(std::int64_t id) const;
  std::int64_t size() const { return count_; }                                      // tokens
  std::int64_t end_id() const { return static_cast<std::int64_t>(bytes_.size()); }  // largest id + 1

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t id;
  };
  class Merger;

  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint32_t>(right);
  }
  void check_options(const JsonObject& model) const;
  void read_vocabulary(const JsonObject& model);
  void read_byte_ids(const JsonObject& model);
  void read_merges(const JsonObject& model);
  void add_merge(std::string_view left, std::string_view right, std::int32_t rank, const std::string& where);

  std::int64_t count_ = 0;
  bool ignore_merges_ = false;  // a word that is in the vocabulary is that token, whatever merges would give
  std::vector<std::optional<std::string>> bytes_;                                 // by id
  std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>> ids_;  // by bytes
  std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>>
      foreign_;                                      // not in the byte alphabet
  std::array<std::int32_t, 256> byte_ids_{};         // -1: not in the vocabulary
  std::unordered_map<std::uint64_t, Merge> merges_;  // by pair of ids
};

}  // namespace higgs
