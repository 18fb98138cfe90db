// A window of a terminal: a program runs in it, and what it shows is read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/process.h"

namespace higgs::test {

struct TerminalResult {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  std::string bytes;  // all that came
};

// Runs `work` in a process of its own whose terminal is a window of so many columns; what it returns is the
// exit code. The environment is this process's with the changes made, and TERM=xterm-256color.
TerminalResult in_terminal(int columns, const std::function<int()>& work, const Environment& changes = {});
// The same with a program; `arguments[0]` is it.
TerminalResult in_terminal(int columns, const std::vector<std::string>& arguments,
                           const Environment& changes = {});

// What the window shows at the end, row by row with what has scrolled out of it; the last is the cursor's.
std::vector<std::string> rows(const TerminalResult& result, int columns);

// The escape sequences in it, each once: "[K", "[32m".
std::vector<std::string> escapes(const std::string& bytes);

}  // namespace higgs::test
