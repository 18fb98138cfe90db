// Messages to the person at the terminal: stderr, one line each, nothing on stdout.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace higgs::log {

void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);
// Says `message` the first time only.
void warn_once(const std::string& message);
// Ranks other than 0 keep quiet but for errors.
void set_quiet(bool quiet);

// Says how far a long piece of work is, every ten seconds: "reading clips: 120 of 3000, 2:10 to go".
class Progress {
 public:
  explicit Progress(std::string what);
  void operator()(std::size_t done, std::size_t total);  // total 0: not known

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  Clock::time_point start_, said_;
};

// 75 -> "1:15", 3700 -> "1:01:40".
std::string duration_text(double seconds);

}  // namespace higgs::log
