#include "higgs/report/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "event_record.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

const std::string kPrefix = "events.out.tfevents.";

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Files are read in the order of their names, which begin with a time: a later file of a run must have a
// later one, also when the clock was set back or two processes started in one second.
long long time_for_name(const fs::path& folder) {
  auto time = static_cast<long long>(now_seconds());
  for (const fs::path& path : list_folder(folder)) {
    const std::string name = path.filename();
    if (name.rfind(kPrefix, 0) == 0) time = std::max(time, std::atoll(name.c_str() + kPrefix.size()) + 1);
  }
  return time;
}

std::string name_of_file(long long time) {
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') std::strcpy(host, "localhost");
  static std::atomic<int> num_files{0};
  char digits[32];
  std::snprintf(digits, sizeof digits, "%010lld", time);
  return kPrefix + digits + "." + host + "." + std::to_string(::getpid()) + "." + std::to_string(num_files++);
}

}  // namespace

EventFile::~EventFile() {
  flush();
  if (fd_ >= 0) ::close(fd_);
}

void EventFile::add(const std::string& event) {
  if (!begun_) {
    begun_ = true;
    waiting_ = event_record(version_event(now_seconds()));
    // In the first file too: TensorBoard takes the first start that it meets for no restart.
    waiting_ += event_record(session_start_event(now_seconds(), first_step_));
  }
  if (waiting_.size() + event.size() <= kMostWaiting) waiting_ += event_record(event);
}

void EventFile::add_scalars(std::int64_t step, const std::vector<Scalar>& scalars) {
  if (!scalars.empty()) add(scalars_event(now_seconds(), step, scalars));
}

void EventFile::add_audio(const std::string& tag, std::int64_t step, std::span<const float> samples,
                          int sample_rate) {
  add(audio_event(now_seconds(), step, tag, wav_bytes(samples, sample_rate, tag),
                  static_cast<std::int64_t>(samples.size()), sample_rate));
}

std::string EventFile::open() {
  try {
    fs::create_directories(folder_);
    path_ = folder_ / name_of_file(time_for_name(folder_));
  } catch (const std::exception& error) {
    return error.what();
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
  return fd_ >= 0 ? "" : path_.string() + ": cannot be written: " + std::strerror(errno);
}

std::string EventFile::flush() {
  if (waiting_.empty()) return "";
  if (fd_ < 0) {
    if (std::string cause = open(); !cause.empty()) return cause;
  }
  std::size_t done = 0;
  std::string cause;
  while (done < waiting_.size() && cause.empty()) {
    const ssize_t n = ::write(fd_, waiting_.data() + done, waiting_.size() - done);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      cause = path_.string() + ": cannot be written: " + std::strerror(errno);
    }
  }
  waiting_.erase(0, done);  // a record cut short goes on with the next call
  return cause;
}

void EventFile::sync() noexcept {
  if (const int fd = fd_; fd >= 0) ::fsync(fd);
}

}  // namespace higgs
