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

bool is_whole(const std::string& name) {
  return std::ranges::any_of(kWholeModules, [&](const WholeModule& whole) { return name == whole.name; });
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

std::vector<GroupValue> parse_group_values(const std::string& text, const std::string& flag,
                                           bool with_whole) {
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
    if (!is_group(value.group) && !(with_whole && is_whole(value.group))) {
      throw UserError(
          flag + " '" + text + "': '" + value.group +
          "' is no group of linear maps; there are self_attn (.q_proj, .k_proj, .v_proj, .o_proj), mlp "
          "and audio_mlp (.gate_proj, .up_proj, .down_proj)" +
          (with_whole ? ", and modules of --modules_to_save" : ""));
    }
    const auto same = [&](const GroupValue& other) { return other.group == value.group; };
    if (std::any_of(values.begin(), values.end(), same))
      throw UserError(flag + " '" + text + "': '" + value.group + "' stands there twice");
    values.push_back(std::move(value));
  }
  return values;
}

std::vector<std::string> parse_modules_to_save(const std::string& text, const std::string& flag) {
  std::vector<std::string> named;
  std::istringstream names(text);
  for (std::string name; std::getline(names, name, ',');) {
    if (!is_whole(name)) {
      std::string all;
      for (const WholeModule& whole : kWholeModules)
        all += (all.empty() ? "" : ", ") + std::string(whole.name);
      throw UserError(flag + " '" + text + "': '" + name +
                      "' is no module that can be trained whole; there are " + all);
    }
    if (std::ranges::count(named, name) > 0)
      throw UserError(flag + " '" + text + "': '" + name + "' stands there twice");
    named.push_back(name);
  }
  std::vector<std::string> in_order;
  for (const WholeModule& whole : kWholeModules) {
    if (std::ranges::count(named, whole.name) > 0) in_order.emplace_back(whole.name);
  }
  return in_order;
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
