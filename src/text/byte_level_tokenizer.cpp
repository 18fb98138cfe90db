#include "higgs/base/error.h"
#include "higgs/text/added_tokens.h"
#include "higgs/text/bpe.h"
#include "higgs/text/loaders.h"
#include "higgs/text/split_regex.h"
#include "higgs/text/unicode.h"

namespace higgs {
namespace {

// How ByteLevel with use_regex cuts words: GPT-2's pattern.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class ByteLevelTokenizer : public Tokenizer {
 public:
  ByteLevelTokenizer(const JsonObject& file, const fs::path& folder);

  std::vector<std::int64_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const override;
  std::optional<std::int64_t> find(std::string_view token) const override;
  std::int64_t vocab_size() const override { return std::max(model_.end_id(), added_.max_id() + 1); }

 private:
  void read_pre_tokenizer(const JsonObject& step);
  void read_split(const JsonObject& step);
  void read_byte_level(const JsonObject& step);
  void read_added_tokens(const JsonObject& file);
  void read_companions(const fs::path& folder);
  void add_token(AddedToken token, const std::string& where);
  void encode_plain(std::string_view text, std::size_t step, std::vector<std::int64_t>& ids) const;

  BpeModel model_;
  AddedTokens added_;
  std::vector<SplitRegex> splits_;  // each cuts the pieces of the one before it
  bool byte_level_ = false;
};

// A part of the file that may be null, or an object with a `type`.
std::string type_of(const JsonObject& file, const std::string& key) {
  return file.has(key) ? file.object(key).string("type") : "";
}

ByteLevelTokenizer::ByteLevelTokenizer(const JsonObject& file, const fs::path& folder)
    : model_(file.object("model")) {
  const std::string normalizer = type_of(file, "normalizer");
  if (!normalizer.empty()) {
    throw UserError(file.where() + ": normalizer '" + normalizer + "' is not supported, it must be null");
  }
  const std::string decoder = type_of(file, "decoder");
  if (!decoder.empty() && decoder != "ByteLevel") {
    throw UserError(file.where() + ": decoder '" + decoder + "' is not supported, it must be 'ByteLevel'");
  }
  if (file.has("pre_tokenizer")) read_pre_tokenizer(file.object("pre_tokenizer"));
  if (!byte_level_) {
    throw UserError(file.where() + ": pre_tokenizer has no 'ByteLevel', only byte-level BPE is supported");
  }
  read_added_tokens(file);
  read_companions(folder);
}

void ByteLevelTokenizer::read_pre_tokenizer(const JsonObject& step) {
  const std::string type = step.string("type");
  if (byte_level_) {
    throw UserError(step.where() + ": '" + type + "' after 'ByteLevel' is not supported");
  }
  if (type == "Split") return read_split(step);
  if (type == "ByteLevel") return read_byte_level(step);
  if (type != "Sequence") {
    throw UserError(step.where() + ": type '" + type +
                    "' is not supported, only Sequence, Split and ByteLevel");
  }
  const auto steps = step.json().find("pretokenizers");
  if (steps == step.json().end() || !steps->is_array()) {
    throw UserError(step.where() + ": key 'pretokenizers' must be a list");
  }
  for (const Json& inner : *steps) {
    const JsonObject object(inner, step.where());
    if (object.string("type") == "Sequence") {
      throw UserError(step.where() + ": a Sequence in a Sequence is not supported");
    }
    read_pre_tokenizer(object);
  }
}

void ByteLevelTokenizer::read_split(const JsonObject& step) {
  const JsonObject pattern = step.object("pattern");
  if (!pattern.has("Regex")) throw UserError(pattern.where() + ": must be a 'Regex', no other is supported");
  const std::string behavior = step.string("behavior");
  if (behavior != "Isolated") {
    throw UserError(step.where() + ": Split behavior '" + behavior + "' is not supported, only 'Isolated'");
  }
  if (step.boolean("invert", false)) {
    throw UserError(step.where() + ": Split with 'invert' is not supported");
  }
  if (splits_.size() >= kMaxSplits) {
    throw UserError(step.where() + ": more than " + std::to_string(kMaxSplits) + " Splits");
  }
  splits_.emplace_back(pattern.string("Regex"), pattern.where());
}

void ByteLevelTokenizer::read_byte_level(const JsonObject& step) {
  if (step.boolean("add_prefix_space", true)) {
    throw UserError(step.where() + ": ByteLevel with 'add_prefix_space' is not supported");
  }
  if (step.boolean("use_regex", true)) splits_.emplace_back(kGpt2Pattern, step.where());
  byte_level_ = true;
}

// The library behind tokenizer.json ignores the ids it states: a token the vocabulary has keeps that id,
// another gets the next free one. Where that isn't the stated id the file would mean two things; it is
// refused.
void ByteLevelTokenizer::add_token(AddedToken token, const std::string& where) {
  const auto known = find(token.content);
  const std::int64_t id = known ? *known : std::max(model_.size(), added_.max_id() + 1);
  if (token.id >= 0 && token.id != id) {
    throw UserError(where + ": added token '" + token.content + "' has id " + std::to_string(token.id) +
                    ", by its place it would be " + std::to_string(id));
  }
  token.id = id;
  added_.add(token);
}

void ByteLevelTokenizer::read_added_tokens(const JsonObject& file) {
  const std::string where = file.where() + ": 'added_tokens'";
  if (!file.has("added_tokens")) return;
  const Json& tokens = file.json()["added_tokens"];
  if (!tokens.is_array()) throw UserError(where + " must be a list");
  for (const Json& entry : tokens) {
    const AddedToken token = parse_added_token(JsonObject(entry, where));
    if (!token.content.empty()) add_token(token, where);
  }
}

// tokenizer_config.json may list further tokens or other flags, and special tokens of the vocabulary by name.
void ByteLevelTokenizer::read_companions(const fs::path& folder) {
  const CompanionTokens companions = read_companion_tokens(folder);
  for (const AddedToken& token : companions.listed) add_token(token, folder.string());
  for (const AddedToken& token : companions.named) {
    if (added_.find(token.content) == nullptr && model_.find(token.content)) {
      add_token(token, folder.string());
    }
  }
}

void ByteLevelTokenizer::encode_plain(std::string_view text, std::size_t step,
                                      std::vector<std::int64_t>& ids) const {
  if (step == splits_.size()) return model_.encode_word(text, ids);
  for (const std::string_view piece : splits_[step].split(text)) encode_plain(piece, step + 1, ids);
}

std::vector<std::int64_t> ByteLevelTokenizer::encode(std::string_view text) const {
  if (!is_utf8(text)) return encode(utf8_lossy(text));
  std::vector<std::int64_t> ids;
  for (const AddedTokens::Section& section : added_.split(text)) {
    if (section.id >= 0) {
      ids.push_back(section.id);
    } else {
      encode_plain(section.text, 0, ids);
    }
  }
  return ids;
}

std::string ByteLevelTokenizer::decode(std::span<const std::int64_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int64_t id : ids) {
    const AddedToken* added = added_.by_id(id);
    if (added != nullptr) {
      if (!(skip_special && added->special)) bytes += added->content;
    } else if (const std::string* token = model_.bytes(id)) {
      bytes += *token;
    }
  }
  return utf8_lossy(bytes);
}

std::optional<std::int64_t> ByteLevelTokenizer::find(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  return model_.find(token);
}

}  // namespace

std::unique_ptr<Tokenizer> load_byte_level_tokenizer(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.json";
  const Json file = read_json_file(path);
  return std::make_unique<ByteLevelTokenizer>(JsonObject(file, path.string()), folder);
}

}  // namespace higgs
