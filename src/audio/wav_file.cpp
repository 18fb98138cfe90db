#include "higgs/audio/wav_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "higgs/base/error.h"
#include "pcm.h"

namespace higgs {
namespace {

constexpr std::uint32_t kUnknown = std::numeric_limits<std::uint32_t>::max();

[[noreturn]] void fail(const std::string& name) {
  throw RunError(name + ": cannot be written: " + std::strerror(errno));
}

void write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(name);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void write_size(int fd, off_t at, std::uint32_t size, const std::string& name) {
  std::array<char, 4> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>((size >> (8 * i)) & 0xFF);
  if (::pwrite(fd, bytes.data(), bytes.size(), at) != std::ssize(bytes)) fail(name);
}

}  // namespace

WavFile::WavFile(int descriptor, std::string name, bool seekable)
    : fd_(descriptor), name_(std::move(name)), seekable_(seekable) {}

WavFile::WavFile(const fs::path& path, int sample_rate)
    : WavFile(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), path.string(), true) {
  if (fd_ < 0) fail(name_);
  write_all(fd_, wav_header(kWavHeaderRest, 0, static_cast<std::uint32_t>(sample_rate)), name_);
}

WavFile WavFile::on_stdout(int sample_rate) {
  WavFile file(::dup(STDOUT_FILENO), "stdout", false);
  if (file.fd_ < 0) fail(file.name_);
  write_all(file.fd_, wav_header(kUnknown, kUnknown, static_cast<std::uint32_t>(sample_rate)), file.name_);
  return file;
}

WavFile::WavFile(WavFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      seekable_(other.seekable_),
      data_bytes_(other.data_bytes_) {}

WavFile::~WavFile() {
  if (fd_ >= 0) ::close(fd_);
}

void WavFile::append(std::span<const float> samples) {
  if (samples.empty()) return;
  std::string bytes;
  append_pcm(bytes, samples, name_);
  data_bytes_ += bytes.size();
  if (seekable_ && data_bytes_ > kUnknown - 64) throw RunError(name_ + ": too long for a WAV file");
  write_all(fd_, bytes, name_);
  if (!seekable_) return;
  // The samples first: what the header counts is there.
  constexpr off_t kRiffSize = 4, kDataSize = 40;
  write_size(fd_, kDataSize, static_cast<std::uint32_t>(data_bytes_), name_);
  write_size(fd_, kRiffSize, static_cast<std::uint32_t>(kWavHeaderRest + data_bytes_), name_);
}

}  // namespace higgs
