#include <algorithm>
#include <charconv>
#include <set>

#include "higgs/base/error.h"
#include "higgs/text/added_tokens.h"

namespace higgs {
namespace {

void check_id(std::int64_t id, const std::string& where) {
  if (id < 0 || id >= kMaxTokenId)
    throw UserError(where + ": token id " + std::to_string(id) + " is out of range");
}

std::int64_t id_from_key(const std::string& key, const std::string& where) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size()) {
    throw UserError(where + ": '" + key + "' is no token id");
  }
  check_id(id, where);
  return id;
}

// A special token is written as its text, or as an object with flags.
void add_named(const Json& value, const std::string& where, std::vector<AddedToken>& named) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else if (value.is_object() && value.contains("content")) {
    token = parse_added_token(JsonObject(value, where));
  }
  token.special = true;
  if (!token.content.empty()) named.push_back(token);
}

void read_named(const JsonObject& config, std::vector<AddedToken>& named) {
  for (const char* key :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    if (config.has(key)) add_named(config.json()[key], config.where() + ": '" + key + "'", named);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!config.has(key)) continue;
    for (const Json& value : config.json()[key]) {  // a list, or an object whose values count
      add_named(value, config.where() + ": '" + key + "'", named);
    }
  }
}

void read_decoder(const JsonObject& config, std::vector<AddedToken>& listed) {
  if (!config.has("added_tokens_decoder")) return;
  const JsonObject decoder = config.object("added_tokens_decoder");
  for (const auto& [key, value] : decoder.json().items()) {
    AddedToken token = parse_added_token(JsonObject(value, decoder.where() + ": '" + key + "'"));
    token.id = id_from_key(key, decoder.where());
    if (!token.content.empty()) listed.push_back(token);
  }
}

void read_added_tokens_file(const fs::path& path, CompanionTokens& tokens) {
  const Json file = read_json_file(path);
  const JsonObject object(file, path.string());
  std::set<std::string> listed, named;
  for (const AddedToken& token : tokens.listed) listed.insert(token.content);
  for (const AddedToken& token : tokens.named) named.insert(token.content);
  for (const auto& item : file.items()) {
    const std::string& content = item.key();
    if (content.empty() || !listed.insert(content).second) continue;
    AddedToken token;
    token.id = object.integer(content);
    token.content = content;
    token.special = named.count(content) != 0;
    check_id(token.id, path.string());
    tokens.listed.push_back(token);
  }
}

}  // namespace

AddedToken parse_added_token(const JsonObject& object) {
  AddedToken token;
  token.content = object.string("content");
  token.id = object.integer("id", -1);
  token.special = object.boolean("special", false);
  token.normalized = object.boolean("normalized", !token.special);
  token.lstrip = object.boolean("lstrip", false);
  token.rstrip = object.boolean("rstrip", false);
  token.single_word = object.boolean("single_word", false);
  return token;
}

CompanionTokens read_companion_tokens(const fs::path& folder) {
  CompanionTokens tokens;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!fs::exists(folder / name)) continue;
    const Json file = read_json_file(folder / name);
    const JsonObject config(file, (folder / name).string());
    read_named(config, tokens.named);
    read_decoder(config, tokens.listed);
  }
  if (fs::exists(folder / "added_tokens.json")) read_added_tokens_file(folder / "added_tokens.json", tokens);
  std::stable_sort(tokens.listed.begin(), tokens.listed.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

}  // namespace higgs
