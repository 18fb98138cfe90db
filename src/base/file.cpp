#include "higgs/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::string cause() {
  return std::strerror(errno);
}

// Owns a file descriptor for the length of a scope.
struct Descriptor {
  int fd;
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

enum class Wanted { kFile, kFileOrPipe };

// An open file and its status. A pipe's writer is waited for only where a pipe is wanted.
Descriptor open_to_read(const fs::path& path, Wanted wanted, struct stat& status) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (wanted == Wanted::kFile ? O_NONBLOCK : 0)));
  if (file.fd < 0) throw UserError(path.string() + ": cannot be opened: " + cause());
  if (::fstat(file.fd, &status) != 0) throw UserError(path.string() + ": cannot be read: " + cause());
  if (S_ISDIR(status.st_mode)) throw UserError(path.string() + ": is a folder, a file is expected");
  if (wanted == Wanted::kFile && !S_ISREG(status.st_mode)) {
    throw UserError(path.string() + ": is a pipe or a device, a file is expected");
  }
  return file;
}

void write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw RunError(path.string() + ": cannot be written: " + cause());
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void read_in_pieces(const fs::path& path, std::size_t max_bytes, Wanted wanted,
                    const std::function<void(std::span<const std::byte>)>& take) {
  struct stat status {};
  const Descriptor file = open_to_read(path, wanted, status);
  if (static_cast<std::size_t>(status.st_size) > max_bytes) {
    throw UserError(path.string() + ": " + std::to_string(status.st_size) + " bytes, more than the " +
                    std::to_string(max_bytes) + " allowed here");
  }
  std::vector<std::byte> buffer(std::size_t{1} << 18);
  for (std::size_t total = 0;;) {
    const ssize_t n = ::read(file.fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw UserError(path.string() + ": cannot be read: " + cause());
    if (n == 0) return;
    total += static_cast<std::size_t>(n);
    if (total > max_bytes) throw UserError(path.string() + ": grows while it is read, or is too large");
    take(std::span(buffer).first(static_cast<std::size_t>(n)));
  }
}

std::string read_whole(const fs::path& path, std::size_t max_bytes, Wanted wanted) {
  std::string bytes;
  read_in_pieces(path, max_bytes, wanted, [&](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return bytes;
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t max_bytes) {
  return read_whole(path, max_bytes, Wanted::kFile);
}

std::string read_file_or_pipe(const fs::path& path, std::size_t max_bytes) {
  return read_whole(path, max_bytes, Wanted::kFileOrPipe);
}

void read_in_pieces(const fs::path& path, const std::function<void(std::span<const std::byte>)>& take) {
  read_in_pieces(path, std::numeric_limits<std::size_t>::max(), Wanted::kFile, take);
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    paths.push_back(entry->path());
  }
  if (error) throw RunError(folder.string() + ": cannot be listed: " + error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  struct stat status {};
  const Descriptor file = open_to_read(path, Wanted::kFile, status);
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd, 0);
  if (address == MAP_FAILED) throw UserError(path.string() + ": cannot be mapped: " + cause());
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void sync_folder(const fs::path& folder) {
  const fs::path where = folder.empty() ? fs::path(".") : folder;
  Descriptor directory(::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0 || ::fsync(directory.fd) != 0) {
    throw RunError(where.string() + ": cannot be synced: " + cause());
  }
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  try {
    Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.fd < 0) throw RunError(path.string() + ": cannot be written: " + cause());
    write_all(file.fd, bytes, path);
    if (::fsync(file.fd) != 0) throw RunError(path.string() + ": cannot be synced: " + cause());
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      throw RunError(path.string() + ": cannot be replaced: " + cause());
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

void check_can_hold_files(const fs::path& folder, const std::string& flag) {
  fs::path existing = fs::absolute(folder);
  std::error_code ignored;
  while (!fs::exists(existing, ignored) && existing.has_relative_path()) existing = existing.parent_path();
  const std::string what = flag + " " + folder.string() + ": cannot be written: ";
  if (!fs::is_directory(existing, ignored)) throw UserError(what + existing.string() + " is not a folder");
  if (::access(existing.c_str(), W_OK | X_OK) != 0)
    throw UserError(what + existing.string() + ": " + cause());
}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::create_directories(folder, error)) {
    // Its name is in the parent, and that is where a crash of the machine would lose it.
    const fs::path parent = fs::absolute(folder).lexically_normal().parent_path();
    if (::access(parent.c_str(), R_OK) == 0) sync_folder(parent);
  }
  if (error || !fs::is_directory(folder)) {
    throw UserError(folder.string() + ": cannot be made: " + (error ? error.message() : "it is a file") +
                    "; give another folder");
  }
  const fs::path probe = folder / (".tmp-probe." + std::to_string(::getpid()));
  Descriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.fd < 0) {
    throw UserError(folder.string() + ": cannot be written: " + cause() + "; give another folder");
  }
  ::unlink(probe.c_str());
}

}  // namespace higgs
