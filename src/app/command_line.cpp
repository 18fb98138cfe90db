#include "higgs/app/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

#include "higgs/base/error.h"

namespace higgs {
namespace {

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

// A flag as help shows it: "--lr X", its meaning behind, the default at the end.
std::string help_line(const Flag& flag) {
  constexpr std::size_t kColumn = 34;
  std::string line = "  --" + flag.name;
  const std::string type = type_text(flag);
  if (!type.empty()) line += " " + type;
  line +=
      line.size() + 1 < kColumn ? std::string(kColumn - line.size(), ' ') : "\n" + std::string(kColumn, ' ');
  line += flag.help;
  if (flag.required) {
    line += " (required)";
  } else if (!std::holds_alternative<bool*>(flag.target) && flag.value_text() != "''" &&
             flag.value_text() != "\"\"") {
    line += " [" + flag.value_text() + "]";
  }
  return line + "\n";
}

[[noreturn]] void refuse_unknown(const FlagTable& table, const std::string& argument) {
  if (argument.rfind("--", 0) != 0) throw UserError("unexpected argument '" + argument + "'");
  const std::string name = argument.substr(
      2, argument.find('=') == std::string::npos ? std::string::npos : argument.find('=') - 2);
  const std::string near = table.nearest(name);
  throw UserError("unknown flag --" + name + (near.empty() ? "" : "; did you mean --" + near + "?"));
}

void check_positional(const Positional& positional) {
  const auto& [name, help, choices, value] = positional;
  if (choices.empty() && value.empty()) throw UserError(name + " is missing: " + help);
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  throw UserError(name + (value.empty() ? " is missing" : " '" + value + "' is unknown") + ": one of " + all);
}

}  // namespace

std::string help_text(const CommandText& command, const FlagTable& table, const Positional* positional) {
  std::string text = "higgs_train " + command.name;
  if (positional != nullptr) text += " " + positional->name;
  text += " [flags]\n" + command.summary + "\n\n";
  if (positional != nullptr) {
    text += "  " + positional->name + ": " + positional->help + "\n";
    for (const std::string& choice : positional->choices) text += "    " + choice + "\n";
    text += "\n";
  }
  for (const Flag& flag : table.flags()) text += help_line(flag);
  return text + "  --help                          prints this and ends\n";
}

bool parse_command_line(const CommandText& command, std::vector<std::string> arguments, FlagTable& table,
                        Positional* positional) {
  CLI::App app(command.summary);
  app.set_help_flag();
  bool help = false;
  app.add_flag("--help,-h", help);
  app.allow_extras();
  // Texts are kept until all is read: a value is checked once, flag before file.
  std::vector<std::pair<Flag*, std::string>> given;
  for (Flag& flag : table.flags()) {
    Flag* entry = &flag;
    if (std::holds_alternative<bool*>(flag.target)) {
      app.add_flag_function("--" + flag.name, [&given, entry](std::int64_t count) {
        given.emplace_back(entry, count > 0 ? "true" : "false");
      });
    } else if (std::holds_alternative<std::vector<std::string>*>(flag.target)) {
      app.add_option_function<std::vector<std::string>>(
             "--" + flag.name,
             [&given, entry](const std::vector<std::string>& texts) {
               for (const std::string& text : texts) given.emplace_back(entry, text);
             })
          ->allow_extra_args(false)
          ->take_all();
    } else {
      app.add_option_function<std::string>(
             "--" + flag.name, [&given, entry](const std::string& text) { given.emplace_back(entry, text); })
          ->take_last();
    }
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();  // "--lr: 1 required TEXT missing"
    throw UserError(what.substr(0, what.find(':')) + " needs a value");
  } catch (const CLI::ParseError& error) {
    throw UserError(error.what());
  }
  if (help) {
    std::fputs(help_text(command, table, positional).c_str(), stdout);
    return false;
  }
  std::vector<std::string> extras = app.remaining();
  if (positional != nullptr && !extras.empty() && extras.front().rfind("--", 0) != 0) {
    positional->value = extras.front();
    extras.erase(extras.begin());
  }
  if (!extras.empty()) refuse_unknown(table, extras.front());
  for (const auto& [flag, text] : given) table.set(*flag, text, "");
  for (const Flag& flag : table.flags()) {
    if (flag.name == "config" && flag.given) {
      table.read_config(*std::get<std::string*>(flag.target));
      break;
    }
  }
  for (const Flag& flag : table.flags()) {
    if (flag.name == "print_config" && *std::get<bool*>(flag.target)) {
      std::fputs(table.to_toml().c_str(), stdout);
      return false;
    }
  }
  if (positional != nullptr) check_positional(*positional);
  table.check_required();
  return true;
}

}  // namespace higgs
