#include <sentencepiece_processor.h>

#include "charsmap.h"
#include "higgs/base/error.h"
#include "higgs/text/added_tokens.h"
#include "higgs/text/loaders.h"
#include "higgs/text/unicode.h"

namespace higgs {
namespace {

class SentencepieceTokenizer : public Tokenizer {
 public:
  explicit SentencepieceTokenizer(const fs::path& folder);

  std::vector<std::int64_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const override;
  std::optional<std::int64_t> find(std::string_view token) const override;
  std::int64_t vocab_size() const override { return std::max(pieces(), added_.max_id() + 1); }

 private:
  std::int64_t pieces() const { return processor_.GetPieceSize(); }
  std::optional<std::int64_t> find_piece(std::string_view piece) const;
  std::string decode_pieces(const std::vector<int>& ids) const;
  void read_added_tokens(const fs::path& folder);

  std::string where_;
  sentencepiece::SentencePieceProcessor processor_;
  AddedTokens added_;
};

SentencepieceTokenizer::SentencepieceTokenizer(const fs::path& folder)
    : where_((folder / "tokenizer.model").string()) {
  const std::string model = read_file(folder / "tokenizer.model");
  check_charsmaps(model, where_);
  const auto status = processor_.LoadFromSerializedProto(model);
  if (!status.ok()) {
    throw UserError(where_ + ": is no sentencepiece model, or a damaged one (" + status.ToString() +
                    "); copy it anew");
  }
  read_added_tokens(folder);
}

void SentencepieceTokenizer::read_added_tokens(const fs::path& folder) {
  const CompanionTokens companions = read_companion_tokens(folder);
  for (const AddedToken& token : companions.listed) {
    const auto piece = find_piece(token.content);
    if (piece ? *piece != token.id : token.id < pieces()) {
      throw UserError(folder.string() + ": added token '" + token.content + "' has id " +
                      std::to_string(token.id) + ", which is another piece's in tokenizer.model");
    }
    added_.add(token);
  }
  for (AddedToken token : companions.named) {
    const auto piece = find_piece(token.content);
    if (!piece || added_.find(token.content) != nullptr) continue;
    token.id = *piece;
    added_.add(token);
  }
}

std::optional<std::int64_t> SentencepieceTokenizer::find_piece(std::string_view piece) const {
  const int id = processor_.PieceToId(piece);  // the unknown piece's id for what it doesn't know
  if (id < 0 || id >= pieces() || processor_.IdToPiece(id) != piece) return std::nullopt;
  return id;
}

std::vector<std::int64_t> SentencepieceTokenizer::encode(std::string_view text) const {
  if (!is_utf8(text)) return encode(utf8_lossy(text));
  std::vector<std::int64_t> ids;
  for (const AddedTokens::Section& section : added_.split(text)) {
    if (section.id >= 0) {
      ids.push_back(section.id);
      continue;
    }
    std::vector<int> section_ids;
    const auto status = processor_.Encode(section.text, &section_ids);
    if (!status.ok()) throw RunError(where_ + ": cannot encode a text: " + status.ToString());
    ids.insert(ids.end(), section_ids.begin(), section_ids.end());
  }
  return ids;
}

std::string SentencepieceTokenizer::decode_pieces(const std::vector<int>& ids) const {
  std::string text;
  const auto status = processor_.Decode(ids, &text);
  if (!status.ok()) throw RunError(where_ + ": cannot decode ids: " + status.ToString());
  return text;
}

std::string SentencepieceTokenizer::decode(std::span<const std::int64_t> ids, bool skip_special) const {
  std::string text;
  std::vector<int> run;  // ids that sentencepiece decodes together
  const auto flush = [&] {
    if (!run.empty()) text += decode_pieces(run);
    run.clear();
  };
  for (const std::int64_t id : ids) {
    const AddedToken* added = added_.by_id(id);
    const bool is_piece = id >= 0 && id < pieces();
    const bool is_control = is_piece && processor_.IsControl(static_cast<int>(id));
    if (added == nullptr && is_piece && !is_control) {
      run.push_back(static_cast<int>(id));
      continue;
    }
    if (added == nullptr && !is_control) continue;  // no such id
    if (skip_special && (is_control || added->special)) continue;
    flush();
    text += added != nullptr ? added->content : processor_.IdToPiece(static_cast<int>(id));
  }
  flush();
  return utf8_lossy(text);
}

std::optional<std::int64_t> SentencepieceTokenizer::find(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  return find_piece(token);
}

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const fs::path& folder) {
  return std::make_unique<SentencepieceTokenizer>(folder);
}

}  // namespace higgs
