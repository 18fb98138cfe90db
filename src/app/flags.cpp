#include "higgs/app/flags.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::string number_text(double value) {
  std::ostringstream out;
  out.precision(12);
  out << value;
  const std::string text = out.str();
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string toml_string(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

// Levenshtein distance.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <typename T, typename Convert>
T parse_number(const std::string& text, const std::string& what, const char* kind, Convert convert) {
  errno = 0;
  char* end = nullptr;
  const T value = convert(text.c_str(), &end);
  if (text.empty() || *end != '\0' || errno == ERANGE)
    throw UserError(what + ": '" + text + "' is not " + kind);
  return value;
}

void check_range(const Flag& flag, double value, const std::string& what) {
  if (value >= flag.low && value <= flag.high) return;
  const bool whole = std::holds_alternative<std::int64_t*>(flag.target);
  const auto bound = [&](double x) {
    return whole ? std::to_string(static_cast<std::int64_t>(x)) : number_text(x);
  };
  std::string range = "at least " + bound(flag.low);
  if (flag.high < std::numeric_limits<double>::infinity()) {
    range = "between " + bound(flag.low) + " and " + bound(flag.high);
  }
  throw UserError(what + ": must be " + range);
}

}  // namespace

Flag& Flag::choose(std::vector<std::string> values) {
  choices = std::move(values);
  return *this;
}

Flag& Flag::range(double lowest, double highest) {
  low = lowest;
  high = highest;
  return *this;
}

Flag& Flag::follow_checkpoint() {
  from_checkpoint = true;
  return *this;
}

Flag& Flag::require() {
  required = true;
  return *this;
}

std::string Flag::value_text() const {
  if (const auto* text = std::get_if<std::string*>(&target)) return toml_string(**text);
  if (const auto* list = std::get_if<std::vector<std::string>*>(&target)) {
    if ((*list)->size() <= 1) return toml_string((*list)->empty() ? "" : (*list)->front());
    std::string all;
    for (const std::string& text : **list) all += (all.empty() ? "[" : ", ") + toml_string(text);
    return all + "]";
  }
  if (const auto* integer = std::get_if<std::int64_t*>(&target)) return std::to_string(**integer);
  if (const auto* real = std::get_if<double*>(&target)) return number_text(**real);
  return *std::get<bool*>(target) ? "true" : "false";
}

bool FlagTable::was_given(const std::string& name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [&](const Flag& flag) { return flag.name == name && flag.given; });
}

void FlagTable::set(Flag& flag, const std::string& text, const std::string& where) {
  const std::string what = where + "--" + flag.name;
  if (auto* target = std::get_if<std::string*>(&flag.target)) {
    if (!flag.choices.empty() &&
        std::find(flag.choices.begin(), flag.choices.end(), text) == flag.choices.end()) {
      std::string all;
      for (const std::string& choice : flag.choices) all += (all.empty() ? "" : ", ") + choice;
      throw UserError(what + ": '" + text + "' is not one of " + all);
    }
    **target = text;
  } else if (auto* list = std::get_if<std::vector<std::string>*>(&flag.target)) {
    if (!text.empty()) (*list)->push_back(text);
  } else if (auto* integer = std::get_if<std::int64_t*>(&flag.target)) {
    const auto value = parse_number<std::int64_t>(
        text, what, "a whole number", [](const char* s, char** end) { return std::strtoll(s, end, 10); });
    check_range(flag, static_cast<double>(value), what);
    **integer = value;
  } else if (auto* real = std::get_if<double*>(&flag.target)) {
    const auto value = parse_number<double>(text, what, "a number",
                                            [](const char* s, char** end) { return std::strtod(s, end); });
    check_range(flag, value, what);
    **real = value;
  } else {
    if (text != "true" && text != "false")
      throw UserError(what + ": '" + text + "' is neither true nor false");
    *std::get<bool*>(flag.target) = text == "true";
  }
  flag.given = true;
}

void FlagTable::check_value(const std::string& name, double value, const std::string& what) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return check_range(flag, value, what);
  }
  HIGGS_ASSERT(!"a flag of this table");
}

namespace {

// Settings are `name = value`. toml++ has no limit for tables named with dots, and recurses through them.
void check_nesting(const std::string& text, const fs::path& path) {
  constexpr int kMostDots = 32;  // outside of strings
  std::size_t line = 1;
  int dots = 0;
  char quote = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
      quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = quote == 0 ? c : quote == c ? '\0' : quote;
    } else if (c == '.' && quote == 0 && ++dots > kMostDots) {
      throw UserError(path.string() + ":" + std::to_string(line) + ": a name with more than " +
                      std::to_string(kMostDots) + " dots; a setting is: name = value");
    }
  }
}

}  // namespace

void FlagTable::read_config(const fs::path& path) {
  toml::table document;
  try {
    const std::string text = read_file_or_pipe(path, 1 << 20);
    check_nesting(text, path);
    document = toml::parse(text, path.string());
  } catch (const toml::parse_error& error) {
    throw UserError(path.string() + ":" + std::to_string(error.source().begin.line) +
                    ": not valid TOML: " + std::string(error.description()));
  }
  for (const auto& [key, node] : document) {
    const std::string name(key.str());
    const std::string where = path.string() + ":" + std::to_string(node.source().begin.line) + ": ";
    const auto flag =
        std::find_if(flags_.begin(), flags_.end(), [&](const Flag& f) { return f.name == name; });
    if (flag == flags_.end() || name == "config" || name == "print_config") {
      const std::string near = nearest(name);
      throw UserError(where + "unknown key '" + name + "'" +
                      (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    if (flag->given) continue;
    if (const toml::array* list = node.as_array();
        list != nullptr && std::holds_alternative<std::vector<std::string>*>(flag->target)) {
      for (const toml::node& item : *list) {
        if (!item.is_string()) throw UserError(where + "'" + name + "' must be a list of strings");
        set(*flag, item.value_or(std::string()), where);
      }
      continue;
    }
    std::ostringstream text;
    if (node.is_string()) {
      text << node.value_or(std::string());
    } else if (node.is_integer() || node.is_floating_point() || node.is_boolean()) {
      text << toml::node_view<const toml::node>(node);
    } else {
      throw UserError(where + "'" + name + "' must be a string, a number, true or false");
    }
    set(*flag, text.str(), where);
  }
}

void FlagTable::check_required() const {
  for (const Flag& flag : flags_) {
    if (flag.required && !flag.given) throw UserError("--" + flag.name + " is missing: " + flag.help);
  }
}

std::string FlagTable::to_toml() const {
  std::string text;
  for (const Flag& flag : flags_) {
    if (flag.name == "config" || flag.name == "print_config") continue;
    if (flag.name == "overwrite") continue;  // once: with this file again, the run is to go on
    if (flag.from_checkpoint && !flag.given) text += "# ";
    text += flag.name + " = " + flag.value_text() + "\n";
  }
  return text;
}

std::string FlagTable::nearest(const std::string& name) const {
  std::string best;
  // Farther off it would be a guess: a name of one letter is like every other.
  std::size_t best_distance = std::min<std::size_t>(4, name.size() / 2) + 1;
  for (const Flag& flag : flags_) {
    const std::size_t d = distance(name, flag.name);
    if (d < best_distance) {
      best_distance = d;
      best = flag.name;
    }
  }
  return best;
}

}  // namespace higgs
