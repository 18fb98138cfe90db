#include <fcntl.h>
#include <unistd.h>

#include "fuzz_target.h"

namespace higgs::fuzz {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path;

  Folder() {
    const fs::path memory = "/dev/shm";
    const fs::path root = ::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path();
    path = root / ("higgs_fuzz." + std::to_string(::getpid()));
    fs::create_directories(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

const fs::path& scratch_folder() {
  static const Folder folder;
  return folder.path;
}

fs::path scratch_file(const std::string& name, std::string_view bytes) {
  const fs::path path = scratch_folder() / name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(fd >= 0, "cannot write", path.string());
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    require(n > 0, "cannot write", path.string());
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  ::close(fd);
  return path;
}

}  // namespace higgs::fuzz
