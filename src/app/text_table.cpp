#include "text_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// In characters of UTF-8.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string formatted(const char* format, double value, int digits) {
  if (!std::isfinite(value)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, format, digits, value);
  return text;
}

}  // namespace

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string all;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      line += i == 0 ? row[i] + space : "  " + space + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    all += OneLineError(line).what() + std::string("\n");
  }
  return all;
}

std::string decimal(double value, int digits) {
  return formatted("%.*f", value, digits);
}
std::string signed_decimal(double value, int digits) {
  return formatted("%+.*f", value, digits);
}

}  // namespace higgs
