#include "higgs/base/python_json.h"

#include <cctype>
#include <cmath>
#include <limits>

namespace higgs {
namespace {

// Stands for Infinity in the JSON handed on.
constexpr double kStandIn = std::numeric_limits<double>::max();
constexpr std::string_view kStandInText = "1.7976931348623157e308";

bool starts_at(std::string_view text, std::size_t position, std::string_view word) {
  return text.substr(position, word.size()) == word;
}

// `line` with NaN and Infinity replaced where they stand outside strings.
std::string without_python_literals(std::string_view line) {
  std::string out;
  out.reserve(line.size() + 64);
  bool in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool word_begins = !in_string && (i == 0 || !std::isalnum(static_cast<unsigned char>(line[i - 1])));
    if (word_begins && starts_at(line, i, "NaN")) {
      out += "null";
      i += 2;
    } else if (word_begins && starts_at(line, i, "Infinity")) {
      out += kStandInText;
      i += 7;
    } else {
      out += c;
      if (in_string && c == '\\' && i + 1 < line.size()) {
        out += line[++i];
      } else if (c == '"') {
        in_string = !in_string;
      }
    }
  }
  return out;
}

}  // namespace

Json parse_python_json(std::string_view text, const std::string& where) {
  const bool plain =
      text.find("NaN") == std::string_view::npos && text.find("Infinity") == std::string_view::npos;
  return plain ? parse_json(text, where) : parse_json(without_python_literals(text), where);
}

double with_infinity(double number) {
  if (std::abs(number) < kStandIn) return number;
  return std::copysign(std::numeric_limits<double>::infinity(), number);
}

}  // namespace higgs
