#include "higgs/dist/slurm.h"

#include <charconv>

namespace higgs {
namespace {

// Reads a whole number at `at` and moves behind it.
std::optional<int> take_number(const std::string& text, std::size_t& at) {
  int value = 0;
  const char* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  at += static_cast<std::size_t>(end - begin);
  return value;
}

}  // namespace

std::string first_host(const std::string& node_list) {
  const std::size_t bracket = node_list.find_first_of("[,");
  if (bracket == std::string::npos || node_list[bracket] == ',') return node_list.substr(0, bracket);
  const std::size_t end = node_list.find_first_of("-,]", bracket);
  const std::size_t close = node_list.find(']', bracket);
  if (end == std::string::npos || close == std::string::npos) return node_list;
  const std::size_t comma = node_list.find(',', close);
  const std::string suffix =
      node_list.substr(close + 1, comma == std::string::npos ? comma : comma - close - 1);
  // More than one range in a name ("r[1-2]n[1-4]"): the rest is read the same way.
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1) + first_host(suffix);
}

std::optional<std::vector<int>> tasks_per_node(const std::string& text) {
  constexpr int kMost = 1 << 20;
  std::vector<int> tasks;
  for (std::size_t at = 0; at < text.size();) {
    const auto count = take_number(text, at);
    if (!count) return std::nullopt;
    int repeat = 1;
    if (text.compare(at, 2, "(x") == 0) {
      at += 2;
      const auto times = take_number(text, at);
      if (!times || at >= text.size() || text[at++] != ')') return std::nullopt;
      repeat = *times;
    }
    if (repeat > kMost || tasks.size() + static_cast<std::size_t>(repeat) > kMost) return std::nullopt;
    tasks.insert(tasks.end(), static_cast<std::size_t>(repeat), *count);
    if (at < text.size() && text[at++] != ',') return std::nullopt;
  }
  return tasks.empty() ? std::nullopt : std::optional(tasks);
}

}  // namespace higgs
