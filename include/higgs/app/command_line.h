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

// What a command does, for `--help`.
struct CommandText {
  std::string name, summary;
};

// Reads `arguments` (without program and command word) into the table, then the file --config names, when the
// table has such a flag. False when --help or --print_config was asked for and printed. UserError otherwise.
bool parse_command_line(const CommandText& command, std::vector<std::string> arguments, FlagTable& table,
                        Positional* positional = nullptr);

// What `--help` prints.
std::string help_text(const CommandText& command, const FlagTable& table, const Positional* positional);

}  // namespace higgs
