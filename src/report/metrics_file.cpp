#include "higgs/report/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "higgs/base/error.h"

namespace higgs {

MetricsFile::~MetricsFile() {
  if (fd_ < 0) return;
  write_waiting();
  ::close(fd_);
}

void MetricsFile::open(const fs::path& path) {
  HIGGS_ASSERT(fd_ < 0);
  path_ = path;
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw RunError(path.string() + ": cannot be written: " + std::strerror(errno));
}

std::string MetricsFile::append(const std::string& line) {
  HIGGS_ASSERT(fd_ >= 0);
  waiting_ += line + "\n";
  return write_waiting();
}

std::string MetricsFile::write_waiting() {
  std::string cause;
  while (!waiting_.empty()) {
    const ssize_t n = ::write(fd_, waiting_.data(), waiting_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      cause = path_.string() + ": cannot be written: " + std::strerror(errno);
      break;
    }
    waiting_.erase(0, static_cast<std::size_t>(n));
  }
  complete_ = waiting_.empty();
  return cause;
}

void MetricsFile::sync() {
  if (!complete_) throw RunError(path_.string() + ": lines are missing that could not be written");
  if (::fsync(fd_) != 0) throw RunError(path_.string() + ": cannot be synced: " + std::strerror(errno));
}

}  // namespace higgs
