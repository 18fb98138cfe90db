#include "higgs/formats/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "higgs/base/error.h"

namespace higgs {

SafetensorsWriter::SafetensorsWriter(const fs::path& path, std::vector<TensorSpec> specs,
                                     const std::map<std::string, std::string>& metadata)
    : path_(path),
      temporary_(path.string() + ".tmp." + std::to_string(::getpid())),
      specs_(std::move(specs)) {
  const std::string header = safetensors_header(specs_, metadata);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("written");
  try {
    append(std::as_bytes(std::span(header)));
  } catch (...) {  // no destructor runs for what wasn't built
    ::close(fd_);
    ::unlink(temporary_.c_str());
    throw;
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void SafetensorsWriter::fail(const char* what) const {
  throw RunError(path_.string() + ": cannot be " + what + ": " + std::strerror(errno));
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  HIGGS_ASSERT(fd_ >= 0 && next_ < specs_.size() && bytes.size() == specs_[next_].num_bytes());
  append(bytes);
  ++next_;
}

void SafetensorsWriter::finish() {
  HIGGS_ASSERT(fd_ >= 0 && next_ == specs_.size());
  if (::fsync(fd_) != 0) fail("synced");
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail("put in place");
  }
  sync_folder(path_.parent_path());
}

}  // namespace higgs
