// metrics.jsonl: lines are added at its end and stay there.
#pragma once

#include <atomic>
#include <string>

#include "higgs/base/file.h"

namespace higgs {

class MetricsFile {
 public:
  MetricsFile() = default;
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // RunError.
  void open(const fs::path& path);
  // Writes the line, after those that couldn't be written before. The cause when the disk takes no more: the
  // line is kept in memory and tried again with the next.
  std::string append(const std::string& line);
  // What was appended is on the disk. RunError when it is not; any thread.
  void sync();

 private:
  std::string write_waiting();

  fs::path path_;
  int fd_ = -1;
  std::string waiting_;
  std::atomic<bool> complete_{true};  // nothing waits
};

}  // namespace higgs
