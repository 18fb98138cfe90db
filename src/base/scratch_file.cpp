#include "higgs/base/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "higgs/base/error.h"
#include "higgs/base/log.h"

namespace higgs {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

std::string cause() {
  return std::strerror(errno);
}

// -1 where there can be none.
int unnamed_file(const fs::path& folder) {
  if (folder.empty()) return -1;
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  // Network file systems know no O_TMPFILE.
  std::string name = (folder / "scratch-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

int memory_file() {
  const int fd = ::memfd_create("higgs_train", MFD_CLOEXEC);
  if (fd < 0) throw RunError("no file in memory can be made: " + cause());
  return fd;
}

// Writes at the file's end; how many bytes it took before it failed.
std::size_t write_some(int fd, std::string_view bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += static_cast<std::size_t>(n);
  }
  return written;
}

void read_all(int fd, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw RunError("samples put aside cannot be read: " + (n == 0 ? "cut short" : cause()));
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

}  // namespace

ScratchFile::ScratchFile(const fs::path& folder) : fd_(unnamed_file(folder)) {
  if (fd_ >= 0) return;
  in_memory_ = true;
  fd_ = memory_file();
}

ScratchFile ScratchFile::open(const std::string& address) {
  const int fd = ::open(address.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw RunError(address + ": cannot be opened: " + cause());
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw RunError(address + ": is no file");
  }
  return {fd, static_cast<std::uint64_t>(status.st_size)};
}

ScratchFile::ScratchFile(ScratchFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      in_memory_(other.in_memory_),
      size_(other.size_),
      buffer_(std::move(other.buffer_)),
      mapping_(std::exchange(other.mapping_, nullptr)) {}

ScratchFile::~ScratchFile() {
  if (mapping_ != nullptr) ::munmap(const_cast<std::byte*>(mapping_), size_);
  if (fd_ >= 0) ::close(fd_);
}

void ScratchFile::append(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_ += bytes.size();
  if (buffer_.size() >= kBufferBytes) flush();
}

void ScratchFile::flush() {
  std::size_t written = write_some(fd_, buffer_);
  if (written < buffer_.size() && !in_memory_) {
    const std::string why = cause();
    buffer_.erase(0, written);
    move_to_memory(why);
    written = write_some(fd_, buffer_);
  }
  if (written < buffer_.size()) throw RunError("samples cannot be put aside in memory: " + cause());
  buffer_.clear();
}

void ScratchFile::move_to_memory(const std::string& why) {
  log::warn_once("no room on the disk to put samples aside (" + why +
                 "); they are kept in memory; --cache_dir says which disk");
  const int memory = memory_file();
  std::vector<std::byte> piece(kBufferBytes);
  const std::uint64_t end = size_ - buffer_.size();
  for (std::uint64_t offset = 0; offset < end; offset += piece.size()) {
    const auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), end - offset));
    read_all(fd_, offset, part);
    if (write_some(memory, {reinterpret_cast<const char*>(part.data()), part.size()}) < part.size()) {
      const std::string failure = cause();
      ::close(memory);
      throw RunError("samples cannot be put aside in memory: " + failure);
    }
  }
  ::close(std::exchange(fd_, memory));
  in_memory_ = true;
}

void ScratchFile::finish() {
  flush();
  buffer_.shrink_to_fit();
}

void ScratchFile::map() {
  if (mapping_ != nullptr || size_ == 0) return;
  void* const mapping = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
  if (mapping == MAP_FAILED) throw RunError("samples put aside cannot be mapped: " + cause());
  mapping_ = static_cast<const std::byte*>(mapping);
}

void ScratchFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  HIGGS_ASSERT(offset <= size_ && out.size() <= size_ - offset);
  read_all(fd_, offset, out);
}

std::string ScratchFile::address() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_);
}

}  // namespace higgs
