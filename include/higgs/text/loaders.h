// The tokenizers behind load_tokenizer(), one function per file format.
#pragma once

#include <memory>

#include "higgs/text/tokenizer.h"

namespace higgs {

inline constexpr std::size_t kMaxSplits = 16;  // patterns that a tokenizer.json cuts text with

// `folder`/tokenizer.json. UserError naming the file and the part of it that is wrong or not supported.
std::unique_ptr<Tokenizer> load_byte_level_tokenizer(const fs::path& folder);
// `folder`/tokenizer.model, with the added tokens that tokenizer_config.json or added_tokens.json name.
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const fs::path& folder);

}  // namespace higgs
