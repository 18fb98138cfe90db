// Command lines read through a FlagTable.
#pragma once

#include <string>
#include <vector>

#include "higgs/app/flags.h"

namespace higgs {

// Positional argument of a command, `inspect STAGE` for one. It has to be given.
struct Positional {
  std::string name, help;
  std::vector<std::string> choices;  // none: any text
  std::string value;
};

// What a command does, for `--help`. `example` is its arguments in a usual call.
struct CommandText {
  std::string name, summary, example;
};

// Reads `arguments` (without program and command word) into the table, then the file --config names, when the
// table has such a flag. False when --help (with --markdown: as a part of docs/flags.md) or --print_config
// was asked for and printed. UserError otherwise.
bool parse_command_line(const CommandText& command, std::vector<std::string> arguments, FlagTable& table,
                        Positional* positional = nullptr);

}  // namespace higgs
