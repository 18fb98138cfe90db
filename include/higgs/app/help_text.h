// What a command says about itself: `--help`, and its part of docs/flags.md.
#pragma once

#include <cstddef>
#include <string>

#include "higgs/app/command_line.h"

namespace higgs {

inline constexpr std::size_t kHelpWidth = 100;  // columns of help that goes to a file or a pipe

// Columns for help on stdout: a terminal's own (COLUMNS, else its window) up to kHelpWidth, else kHelpWidth.
std::size_t help_width();

// Flags under the headings of their sections; meanings are broken at `width`, a usual call is one line.
// `positional` may be null.
std::string help_text(const CommandText& command, const FlagTable& table, const Positional* positional,
                      std::size_t width);

// The same as a section of Markdown with a table for each heading, ranges included.
std::string help_markdown(const CommandText& command, const FlagTable& table, const Positional* positional);

}  // namespace higgs
