// Text <-> token ids, behind one interface for both tokenizer files a checkpoint may have. One tokenizer
// serves any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // As transformers' encode(text, add_special_tokens=False): special tokens written in `text` become their
  // ids.
  virtual std::vector<std::int64_t> encode(std::string_view text) const = 0;
  // The text of `ids`; bytes that are no UTF-8 become U+FFFD. No clean-up of spaces.
  virtual std::string decode(std::span<const std::int64_t> ids, bool skip_special) const = 0;
  // The id of a whole token (special or not) by its text.
  virtual std::optional<std::int64_t> find(std::string_view token) const = 0;
  virtual std::int64_t vocab_size() const = 0;

  // find(), or a UserError that names the token and says that the tokenizer lacks it.
  std::int64_t id_of(std::string_view token) const;
};

// tokenizer.json (byte-level BPE) in `folder`, else tokenizer.model (sentencepiece); UserError when neither
// is there or the file is of a kind that isn't supported (named).
std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder);

}  // namespace higgs
