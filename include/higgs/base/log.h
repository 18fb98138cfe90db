// Messages to the person at the terminal: stderr, one line each, nothing on stdout.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "higgs/base/live_line.h"

namespace higgs::log {

void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);
// Says `message` the first time only.
void warn_once(const std::string& message);
// Ranks other than 0 keep quiet but for errors.
void set_quiet(bool quiet);

// Says how far a long piece of work is: in the live line, "reading clips 120/3000  35/s  ETA 1:22"; where
// there is none, every ten seconds in a message, "reading clips: 120 of 3000, 1:22 to go".
class Progress {
 public:
  explicit Progress(std::string what);
  void operator()(std::size_t done, std::size_t total);  // total 0: not known

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  Clock::time_point start_, said_, looked_;
  LiveLine line_;
};

// 75 -> "1:15", 3700 -> "1:01:40".
std::string duration_text(double seconds);
// Three digits or so: 4123 -> "4.1k", 35.2 -> "35", 0.45 -> "0.5".
std::string short_number(double value);

}  // namespace higgs::log
