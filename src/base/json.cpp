#include "higgs/base/json.h"

#include <algorithm>
#include <limits>
#include <set>

#include "higgs/base/error.h"
#include "higgs/base/lfs.h"

namespace higgs {
namespace {

// Builds the document while refusing what nlohmann's own parser lets pass.
class StrictParser {
 public:
  explicit StrictParser(const std::string& where) : where_(where) {}

  Json parse(std::string_view text) {
    std::vector<std::set<std::string>> keys;
    std::size_t num_values = 0;
    const auto callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > kMaxJsonDepth) {
        throw UserError(where_ + ": nested deeper than " + std::to_string(kMaxJsonDepth));
      }
      using Event = Json::parse_event_t;
      const bool begins =
          event == Event::value || event == Event::array_start || event == Event::object_start;
      if (begins && ++num_values > kMaxJsonValues) {
        throw UserError(where_ + ": more than " + std::to_string(kMaxJsonValues) + " values");
      }
      if (event == Json::parse_event_t::object_start) {
        keys.emplace_back();
      } else if (event == Json::parse_event_t::object_end) {
        keys.pop_back();
      } else if (event == Json::parse_event_t::key) {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys.back().insert(key).second) throw UserError(where_ + ": key '" + key + "' stands twice");
      }
      return true;
    };
    return Json::parse(text, callback);
  }

 private:
  const std::string& where_;
};

// What is above 2^63 comes as an unsigned number.
bool fits_int64(const Json& value) {
  if (value.is_number_unsigned()) {
    return value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  }
  return value.is_number_integer();
}

// "[json.exception.parse_error.101] parse error at line 1, column 5: ..." -> what follows the bracket; it
// quotes what was read last, however long.
std::string reason(const std::exception& error) {
  const std::string text = error.what();
  const auto bracket = text.find("] ");
  const std::string what = bracket == std::string::npos ? text : text.substr(bracket + 2);
  constexpr std::size_t kLongest = 300;
  return what.size() <= kLongest ? what : what.substr(0, kLongest) + "...";
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  try {
    return StrictParser(where).parse(text);
  } catch (const Json::exception& error) {
    throw UserError(where + ": not valid JSON: " + reason(error));
  }
}

Json read_json_file(const fs::path& path) {
  refuse_lfs_pointer(path);
  Json document = parse_json(read_file(path, kMaxJsonFile), path.string());
  if (!document.is_object()) throw UserError(path.string() + ": the top of the file must be a JSON object");
  return document;
}

namespace {

bool has_large_object(const Json& value) {
  if (value.is_object() && value.size() > kMaxOrderedKeys) return true;
  return value.is_structured() && std::any_of(value.begin(), value.end(), has_large_object);
}

}  // namespace

OrderedJson read_ordered_json_file(const fs::path& path) {
  const std::string text = read_file(path, kMaxJsonFile);
  if (has_large_object(parse_json(text, path.string()))) {
    throw UserError(path.string() + ": an object of more than " + std::to_string(kMaxOrderedKeys) + " keys");
  }
  return OrderedJson::parse(text);
}

JsonObject::JsonObject(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) throw UserError(where_ + ": must be a JSON object");
}

bool JsonObject::has(const std::string& key) const {
  const auto found = object_->find(key);
  return found != object_->end() && !found->is_null();
}

const Json& JsonObject::at(const std::string& key) const {
  if (!has(key)) throw UserError(where_ + ": key '" + key + "' is missing");
  return object_->at(key);
}

std::int64_t JsonObject::integer(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_number_integer()) throw UserError(where_ + ": key '" + key + "' must be an integer");
  if (!fits_int64(value)) throw UserError(where_ + ": key '" + key + "' must be an integer of 64 bits");
  return value.get<std::int64_t>();
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t fallback) const {
  return has(key) ? integer(key) : fallback;
}

double JsonObject::number(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_number()) throw UserError(where_ + ": key '" + key + "' must be a number");
  return value.get<double>();
}

double JsonObject::number(const std::string& key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool JsonObject::boolean(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  const Json& value = at(key);
  if (!value.is_boolean()) throw UserError(where_ + ": key '" + key + "' must be true or false");
  return value.get<bool>();
}

std::string JsonObject::string(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_string()) throw UserError(where_ + ": key '" + key + "' must be a string");
  return value.get<std::string>();
}

std::string JsonObject::string(const std::string& key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

std::vector<std::int64_t> JsonObject::integers(const std::string& key) const {
  const Json& value = at(key);
  std::vector<std::int64_t> numbers;
  if (!value.is_array()) throw UserError(where_ + ": key '" + key + "' must be a list of integers");
  for (const Json& item : value) {
    if (!fits_int64(item)) throw UserError(where_ + ": key '" + key + "' must be a list of integers");
    numbers.push_back(item.get<std::int64_t>());
  }
  return numbers;
}

std::vector<double> JsonObject::numbers(const std::string& key) const {
  const Json& array = at(key);
  const auto is_number = [](const Json& value) { return value.is_number(); };
  if (!array.is_array() || !std::all_of(array.begin(), array.end(), is_number)) {
    throw UserError(where_ + ": key '" + key + "' must be an array of numbers");
  }
  return array.get<std::vector<double>>();
}

std::vector<std::string> JsonObject::strings(const std::string& key) const {
  const Json& value = at(key);
  std::vector<std::string> texts;
  if (!value.is_array()) throw UserError(where_ + ": key '" + key + "' must be a list of strings");
  for (const Json& item : value) {
    if (!item.is_string()) throw UserError(where_ + ": key '" + key + "' must be a list of strings");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

JsonObject JsonObject::object(const std::string& key) const {
  return JsonObject(at(key), where_ + ": '" + key + "'");
}

}  // namespace higgs
