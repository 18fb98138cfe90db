// JSON for configurations and indices: nlohmann/json behind checks that name the file and the key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

using Json = nlohmann::json;

// Far above what tokenizers and configurations need; they bound the memory that a hostile file can take.
inline constexpr int kMaxJsonDepth = 64;
inline constexpr std::size_t kMaxJsonValues = std::size_t{1} << 22;
inline constexpr std::size_t kMaxJsonFile = std::size_t{256} << 20;  // bytes

// Parses `text`; `where` (a path, or path:line) begins the UserError's message when it isn't JSON, nests
// deeper than kMaxJsonDepth, has more than kMaxJsonValues values, or holds a key twice in one object.
Json parse_json(std::string_view text, const std::string& where);

// A JSON file of at most kMaxJsonFile bytes whose top is an object.
Json read_json_file(const fs::path& path);

using OrderedJson = nlohmann::ordered_json;
inline constexpr std::size_t kMaxOrderedKeys = 4096;  // in one object: it is searched from its beginning

// The same with the keys in the file's order; UserError too for an object of more than kMaxOrderedKeys keys.
OrderedJson read_ordered_json_file(const fs::path& path);

// A view of one JSON object that reads typed values, and errors as `where: key 'k' ...`.
class JsonObject {
 public:
  JsonObject(const Json& object, std::string where);

  bool has(const std::string& key) const;  // present and not null
  std::int64_t integer(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t fallback) const;
  double number(const std::string& key) const;
  double number(const std::string& key, double fallback) const;
  bool boolean(const std::string& key, bool fallback) const;
  std::string string(const std::string& key) const;
  std::string string(const std::string& key, const std::string& fallback) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::string> strings(const std::string& key) const;
  JsonObject object(const std::string& key) const;

  const Json& json() const { return *object_; }
  const std::string& where() const { return where_; }

 private:
  const Json& at(const std::string& key) const;
  const Json* object_;
  std::string where_;
};

}  // namespace higgs
