#include "higgs/model/module_groups.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "higgs/base/error.h"

namespace higgs {
namespace {

const std::vector<std::pair<std::string, std::vector<std::string>>>& groups() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"self_attn", {"q_proj", "k_proj", "v_proj", "o_proj"}},
      {"mlp", {"gate_proj", "up_proj", "down_proj"}},
      {"audio_mlp", {"gate_proj", "up_proj", "down_proj"}}};
  return all;
}

bool is_group(const std::string& name) {
  for (const auto& [group, maps] : groups()) {
    if (name == group) return true;
    for (const std::string& map : maps) {
      if (name == group + "." + map) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<GroupValue> parse_group_values(const std::string& text, const std::string& flag) {
  std::vector<GroupValue> values;
  std::istringstream pairs(text);
  for (std::string pair; std::getline(pairs, pair, ',');) {
    const auto equals = pair.find('=');
    GroupValue value{pair.substr(0, equals), 0.0};
    const char* begin = equals == std::string::npos ? nullptr : pair.data() + equals + 1;
    const char* end = pair.data() + pair.size();
    const auto [rest, error] = begin == nullptr ? std::from_chars_result{end, std::errc::invalid_argument}
                                                : std::from_chars(begin, end, value.value);
    if (error != std::errc() || rest != end || !(value.value >= 0.0 && value.value < 1e6)) {
      throw UserError(flag + " '" + text + "': '" + pair + "' is not GROUP=NUMBER");
    }
    if (!is_group(value.group)) {
      throw UserError(
          flag + " '" + text + "': '" + value.group +
          "' is no group of linear maps; there are self_attn (.q_proj, .k_proj, .v_proj, .o_proj), mlp "
          "and audio_mlp (.gate_proj, .up_proj, .down_proj)");
    }
    const auto same = [&](const GroupValue& other) { return other.group == value.group; };
    if (std::any_of(values.begin(), values.end(), same))
      throw UserError(flag + " '" + text + "': '" + value.group + "' stands there twice");
    values.push_back(std::move(value));
  }
  return values;
}

std::optional<double> value_of_module(const std::vector<GroupValue>& values, const std::string& path) {
  const std::string whole = "." + path;
  const auto group_end = whole.rfind('.');
  const std::string group = whole.substr(0, group_end);
  std::optional<double> found;
  for (const GroupValue& value : values) {
    if (whole.ends_with("." + value.group)) return value.value;
    if (group.ends_with("." + value.group)) found = value.value;
  }
  return found;
}

}  // namespace higgs
