#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/text/bpe.h"
#include "higgs/text/byte_alphabet.h"

namespace higgs {
namespace {

std::int32_t checked_id(const Json& value, const std::string& token, const std::string& where) {
  const bool fits = value.is_number_integer() && value >= 0 && value < kMaxTokenId;
  if (!fits) {
    throw UserError(where + ": the id of '" + token + "' must be an integer from 0 to " +
                    std::to_string(kMaxTokenId - 1));
  }
  return value.get<std::int32_t>();
}

void refuse_text_option(const JsonObject& model, const std::string& key) {
  if (model.string(key, "").empty()) return;
  throw UserError(model.where() + ": '" + key + "' is set, which byte-level BPE here does not support");
}

}  // namespace

BpeModel::BpeModel(const JsonObject& model) {
  check_options(model);
  ignore_merges_ = model.boolean("ignore_merges", false);
  read_vocabulary(model);
  read_byte_ids(model);
  read_merges(model);
}

void BpeModel::check_options(const JsonObject& model) const {
  const std::string type = model.string("type", "BPE");
  if (type != "BPE") {
    throw UserError(model.where() + ": type '" + type + "' is not supported, only byte-level BPE is");
  }
  if (model.number("dropout", 0) != 0) {
    throw UserError(model.where() + ": 'dropout' is set, which is not supported; set it to null");
  }
  if (model.boolean("byte_fallback", false)) {
    throw UserError(model.where() + ": 'byte_fallback' is set, which byte-level BPE here does not support");
  }
  refuse_text_option(model, "continuing_subword_prefix");
  refuse_text_option(model, "end_of_word_suffix");
}

void BpeModel::read_vocabulary(const JsonObject& model) {
  const JsonObject vocabulary = model.object("vocab");
  const Json& entries = vocabulary.json();
  std::int32_t max_id = -1;
  for (const auto& [token, value] : entries.items()) {
    max_id = std::max(max_id, checked_id(value, token, vocabulary.where()));
  }
  bytes_.resize(static_cast<std::size_t>(max_id + 1));
  ids_.reserve(entries.size());
  for (const auto& [token, value] : entries.items()) {
    const auto id = value.get<std::int32_t>();
    std::optional<std::string>& slot = bytes_[static_cast<std::size_t>(id)];
    if (slot) throw UserError(vocabulary.where() + ": two tokens have the id " + std::to_string(id));
    slot = bytes_of_symbols(token);
    (slot ? ids_ : foreign_).emplace(slot ? *slot : token, id);
    if (!slot) slot = token;
  }
  count_ = static_cast<std::int64_t>(entries.size());
}

void BpeModel::read_byte_ids(const JsonObject& model) {
  int missing = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const auto found = ids_.find(std::string_view(&text, 1));
    byte_ids_[static_cast<std::size_t>(byte)] = found == ids_.end() ? -1 : found->second;
    missing += found == ids_.end();
  }
  if (missing == 0) return;  // then an unknown token can't come up, whether unk_token is set or not
  refuse_text_option(model, "unk_token");
  log::warn(model.where() + ": " + std::to_string(missing) +
            " of the 256 bytes have no token; text with them loses them");
}

void BpeModel::add_merge(std::string_view left, std::string_view right, std::int32_t rank,
                         const std::string& where) {
  const std::string merged = std::string(left) + std::string(right);
  const auto id_of = [&](std::string_view token) {
    const auto id = find(token);
    if (id) return static_cast<std::int32_t>(*id);
    throw UserError(where + ": merge " + std::to_string(rank) + " names '" + std::string(token) +
                    "', which the vocabulary lacks");
  };
  const std::int32_t left_id = id_of(left), right_id = id_of(right);
  merges_[pair_key(left_id, right_id)] = {rank, id_of(merged)};  // of two merges of a pair the later counts
}

void BpeModel::read_merges(const JsonObject& model) {
  const std::string where = model.where() + ": 'merges'";
  const auto found = model.json().find("merges");
  if (found == model.json().end() || !found->is_array()) throw UserError(where + " must be a list");
  merges_.reserve(found->size());
  std::int32_t rank = 0;
  for (const Json& entry : *found) {
    if (entry.is_string()) {
      const std::string_view line = entry.get_ref<const std::string&>();
      if (line.starts_with("#version")) continue;
      const std::size_t space = line.find(' ');
      if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
        throw UserError(where + ": merge " + std::to_string(rank) + " ('" + std::string(line) +
                        "') must be two tokens with a space between them");
      }
      add_merge(line.substr(0, space), line.substr(space + 1), rank, where);
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      add_merge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>(), rank, where);
    } else {
      throw UserError(where + ": merge " + std::to_string(rank) + " must be \"a b\" or [\"a\", \"b\"]");
    }
    ++rank;
  }
}

}  // namespace higgs
