// Tokens that are found in the text itself, before any splitting into words: special tokens and the like.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/text/text_hash.h"

namespace higgs {

// Eight times the largest vocabulary in use; tables by id are as long as the largest id.
inline constexpr std::int64_t kMaxTokenId = std::int64_t{1} << 21;

struct AddedToken {
  std::int64_t id = -1;  // -1: not stated
  std::string content;
  bool special = false;
  bool normalized = false;   // looked for after the tokens that aren't
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool single_word = false;  // only where no word character touches it
};

// From the object tokenizer.json's added_tokens and tokenizer_config.json's added_tokens_decoder hold.
AddedToken parse_added_token(const JsonObject& object);

class AddedTokens {
 public:
  // A stretch of text between added tokens (id -1), or one added token (its text left out).
  struct Section {
    std::string_view text;
    std::int64_t id = -1;
  };

  // Adds the token, or replaces the flags of the one with the same content. Its id must be set.
  void add(const AddedToken& token);

  // Cuts valid UTF-8 at the added tokens: the leftmost match wins, then the longest. Sections follow the
  // text's order, text sections are never empty.
  std::vector<Section> split(std::string_view text) const;

  const AddedToken* find(std::string_view content) const;
  const AddedToken* by_id(std::int64_t id) const;
  std::int64_t max_id() const { return max_id_; }  // -1 when there are none

 private:
  // Where a token of one pass over the text may begin, and how long it may be.
  struct Pass {
    std::array<bool, 256> first_byte{};
    std::set<std::size_t, std::greater<>> lengths;
    bool empty() const { return lengths.empty(); }
  };
  const AddedToken* longest_at(std::string_view text, std::size_t at, bool normalized) const;
  void split_section(std::string_view text, bool normalized, std::vector<Section>& sections) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>> by_content_;
  std::unordered_map<std::int64_t, std::size_t> by_id_;
  std::array<Pass, 2> passes_;  // [normalized]
  std::int64_t max_id_ = -1;
};

// What lies beside a tokenizer's main file.
struct CompanionTokens {
  std::vector<AddedToken>
      listed;  // tokenizer_config.json's added_tokens_decoder, then added_tokens.json; by id
  std::vector<AddedToken> named;  // bos_token, additional_special_tokens and the like, ids not stated
};
CompanionTokens read_companion_tokens(const fs::path& folder);

}  // namespace higgs
