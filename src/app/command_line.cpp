#include "higgs/app/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>

#include "higgs/app/help_text.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

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
  std::vector<std::string> extras = app.remaining();
  if (help) {
    const bool markdown = std::find(extras.begin(), extras.end(), "--markdown") != extras.end();
    std::fputs((markdown ? help_markdown(command, table, positional)
                         : help_text(command, table, positional, help_width()))
                   .c_str(),
               stdout);
    return false;
  }
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
