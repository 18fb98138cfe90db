#include "checkpoint_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "higgs/base/error.h"

namespace higgs {
namespace {

bool is_weights(const std::string& name) {
  constexpr std::array<const char*, 12> kEndings = {".safetensors", ".safetensors.index.json",
                                                    ".bin",         ".bin.index.json",
                                                    ".pt",          ".pth",
                                                    ".ckpt",        ".gguf",
                                                    ".onnx",        ".msgpack",
                                                    ".h5",          ".incomplete"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

bool is_housekeeping(const std::string& name) {
  return name.rfind(".git", 0) == 0 || name.rfind(".tmp-", 0) == 0 || name == ".cache" ||
         name == "__pycache__";
}

void collect(const fs::path& root, const fs::path& below, std::vector<fs::path>& files) {
  const bool own_model = !below.empty() && fs::exists(root / below / "config.json");
  for (const auto& entry : fs::directory_iterator(root / below)) {
    const std::string name = entry.path().filename().string();
    if (is_housekeeping(name)) continue;
    if (entry.is_directory()) {
      if (!entry.is_symlink()) collect(root, below / name, files);
    } else if (entry.is_regular_file() && (own_model || !is_weights(name)) && (below / name) != "README.md") {
      files.push_back(below / name);
    }
  }
}

void sync_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!synced) throw RunError(path.string() + ": cannot be synced");
}

}  // namespace

std::vector<fs::path> companion_files(const fs::path& folder) {
  std::vector<fs::path> files;
  collect(folder, "", files);
  std::sort(files.begin(), files.end());
  return files;
}

std::uint64_t size_of_files(const fs::path& folder, const std::vector<fs::path>& files) {
  std::uint64_t total = 0;
  for (const fs::path& file : files) total += fs::file_size(folder / file);
  return total;
}

void copy_files(const fs::path& from, const std::vector<fs::path>& files, const fs::path& to) {
  for (const fs::path& file : files) {
    std::error_code error;
    fs::create_directories((to / file).parent_path(), error);
    if (!error) fs::copy_file(from / file, to / file, error);
    if (error)
      throw RunError((to / file).string() + ": cannot be copied from " + (from / file).string() + ": " +
                     error.message());
    fs::permissions(to / file, fs::perms::owner_read | fs::perms::owner_write, fs::perm_options::add, error);
    sync_file(to / file);
  }
}

}  // namespace higgs
