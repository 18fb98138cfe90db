// Messages to the person at the terminal: stderr, one line each, nothing on stdout.
#pragma once

#include <string>

namespace higgs::log {

void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);
// Says `message` the first time only.
void warn_once(const std::string& message);
// Ranks other than 0 keep quiet but for errors.
void set_quiet(bool quiet);

}  // namespace higgs::log
