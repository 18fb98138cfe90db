#include "higgs/text/tokenizer.h"

#include "higgs/base/error.h"
#include "higgs/text/loaders.h"

namespace higgs {

std::int64_t Tokenizer::id_of(std::string_view token) const {
  const auto id = find(token);
  if (!id) {
    throw UserError("the tokenizer has no token '" + std::string(token) +
                    "'; use the tokenizer that belongs to the checkpoint");
  }
  return *id;
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw UserError(folder.string() +
                    ": is not a folder; give the checkpoint folder that holds the tokenizer");
  }
  if (fs::exists(folder / "tokenizer.json")) return load_byte_level_tokenizer(folder);
  if (fs::exists(folder / "tokenizer.model")) return load_sentencepiece_tokenizer(folder);
  throw UserError(folder.string() + ": has neither tokenizer.json nor tokenizer.model; copy the one the " +
                  "checkpoint was trained with into it");
}

}  // namespace higgs
