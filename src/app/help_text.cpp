#include "higgs/app/help_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace higgs {
namespace {

constexpr std::size_t kIndent = 34;       // where a flag's meaning begins,
constexpr std::size_t kNarrowIndent = 8;  // on a line of its own in a window below kNarrow
constexpr std::size_t kNarrow = 80;
constexpr std::size_t kLeastWidth = 40;

std::string type_text(const Flag& flag) {
  if (!flag.choices.empty()) {
    std::string all;
    for (const std::string& choice : flag.choices) all += (all.empty() ? "" : "|") + choice;
    return all;
  }
  if (std::holds_alternative<std::int64_t*>(flag.target)) return "N";
  if (std::holds_alternative<double*>(flag.target)) return "X";
  return std::holds_alternative<bool*>(flag.target) ? "" : "TEXT";
}

std::string usage_text(const Flag& flag) {
  const std::string type = type_text(flag);
  return "--" + flag.name + (type.empty() ? "" : " " + type);
}

// "" where there is none, or nothing to say of it.
std::string default_text(const Flag& flag) {
  if (flag.required || std::holds_alternative<bool*>(flag.target)) return "";
  const std::string value = flag.value_text();
  return value == "''" || value == "\"\"" ? "" : value;
}

// `text` broken at spaces into lines of at most `width` columns; the first begins in column `column`, the
// others, `indent` spaces in front, in column `indent`.
std::string wrapped(const std::string& text, std::size_t column, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string lines;
  bool first = true;
  for (std::string word; words >> word; first = false) {
    if (!first && column + 1 + word.size() > width) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!first) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

// "  --lr X", its meaning behind or below, the default at the end.
std::string flag_lines(const std::string& usage, const std::string& meaning, std::size_t width) {
  const std::size_t indent = width < kNarrow ? kNarrowIndent : kIndent;
  std::string lines = "  " + usage;
  lines +=
      lines.size() + 1 < indent ? std::string(indent - lines.size(), ' ') : "\n" + std::string(indent, ' ');
  return lines + wrapped(meaning, indent, indent, width) + "\n";
}

std::string meaning_text(const Flag& flag) {
  if (flag.required) return flag.help + " (required)";
  const std::string value = default_text(flag);
  return value.empty() ? flag.help : flag.help + " [" + value + "]";
}

std::string bound_text(const Flag& flag, double bound) {
  char text[32];
  const bool whole = std::holds_alternative<std::int64_t*>(flag.target) && bound < 1e6;
  std::snprintf(text, sizeof text, whole ? "%.0f" : "%g", bound);
  return text;
}

std::string range_text(const Flag& flag) {
  const double none = std::numeric_limits<double>::infinity();
  if (flag.low == -none && flag.high == none) return "";
  if (flag.high == none) return "from " + bound_text(flag, flag.low);
  return bound_text(flag, flag.low) + " to " + bound_text(flag, flag.high);
}

// For a cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') safe += '\\';
    safe += c;
  }
  return safe;
}

std::string code(const std::string& text) {
  std::string safe = "`";
  for (const char c : text) safe += c == '|' ? "\\|" : std::string(1, c);
  return safe + "`";
}

}  // namespace

std::size_t help_width() {
  if (::isatty(STDOUT_FILENO) == 0) return kHelpWidth;
  std::size_t width = 0;
  if (const char* columns = std::getenv("COLUMNS")) width = std::strtoul(columns, nullptr, 10);
  winsize window{};
  if (width == 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) width = window.ws_col;
  return width == 0 ? kHelpWidth : std::clamp(width, kLeastWidth, kHelpWidth);
}

std::string help_text(const CommandText& command, const FlagTable& table, const Positional* positional,
                      std::size_t width) {
  std::string text = "higgs_train " + command.name;
  if (positional != nullptr) text += " " + positional->name;
  text += " [flags]\n" + wrapped(command.summary, 0, 0, width) + "\n\n";
  if (positional != nullptr) {
    text += "  " + wrapped(positional->name + ": " + positional->help, 2, 4, width) + "\n";
    for (const std::string& choice : positional->choices) text += "    " + choice + "\n";
    text += "\n";
  }
  std::string section;
  for (const Flag& flag : table.flags()) {
    if (flag.section != section) text += (section.empty() ? "" : "\n") + flag.section + ":\n";
    section = flag.section;
    text += flag_lines(usage_text(flag), meaning_text(flag), width);
  }
  text += flag_lines("--help", "prints this and ends", width);
  if (!command.example.empty()) {
    text += "\nExample:\n  higgs_train " + command.name + " " + command.example + "\n";
  }
  return text;
}

std::string help_markdown(const CommandText& command, const FlagTable& table, const Positional* positional) {
  std::string text = "## higgs_train " + command.name;
  if (positional != nullptr) text += " " + positional->name;
  text += "\n" + command.summary + "\n";
  if (positional != nullptr) {
    text += "\n" + code(positional->name) + ": " + positional->help;
    std::string all;
    for (const std::string& choice : positional->choices) all += (all.empty() ? ": " : ", ") + code(choice);
    text += all + "\n";
  }
  if (!command.example.empty()) {
    text += "```\nhiggs_train " + command.name + " " + command.example + "\n```\n";
  }
  std::string section = "\n";
  for (const Flag& flag : table.flags()) {
    if (flag.section != section) {
      text += "\n| " + flag.section + " | default | range | meaning |\n|---|---|---|---|\n";
    }
    section = flag.section;
    const std::string value = default_text(flag);
    text += "| " + code(usage_text(flag)) + " | " +
            (flag.required   ? "required"
             : value.empty() ? ""
                             : code(value)) +
            " | " + range_text(flag) + " | " + cell(flag.help) + " |\n";
  }
  return text;
}

}  // namespace higgs
