// What a fault program found: a line for each failure, the figures, and the record of them.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "options.h"

namespace higgs::test {

class Report {
 public:
  explicit Report(const Options& options);

  void say(const std::string& line) const;  // what happens, while it happens
  // Each failure is printed; the program ends with 1.
  void fail(const std::string& what);
  bool check(bool holds, const std::string& what);
  bool failed() const { return num_failures_ > 0; }
  int num_failures() const { return num_failures_; }
  // What can't be tried here, and why.
  void skip(const std::string& what);

  nlohmann::ordered_json figures = nlohmann::ordered_json::object();  // counts, as they stand in the record

  // Prints the figures, adds them to options.log, and gives the exit code.
  int finish();

 private:
  Options options_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int num_failures_ = 0;
  std::vector<std::string> skipped_;
};

}  // namespace higgs::test
