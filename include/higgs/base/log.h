// Messages to the person at the terminal: stderr, one line each, nothing on stdout.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <utility>

namespace higgs::log {

void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);
// Says `message` the first time only.
void warn_once(const std::string& message);
// Ranks other than 0 keep quiet but for errors.
void set_quiet(bool quiet);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  info(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  warn(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace higgs::log
