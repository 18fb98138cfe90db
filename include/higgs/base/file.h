// Files: read whole, mapped read-only, and written so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace higgs {

namespace fs = std::filesystem;

// The whole file as bytes. UserError naming the path when it can't be read, is a pipe or a device, or is
// larger than `max_bytes`.
std::string read_file(const fs::path& path, std::size_t max_bytes = std::size_t{1} << 30);

// The same of what a user may also give as a pipe, `<(command)`.
std::string read_file_or_pipe(const fs::path& path, std::size_t max_bytes = std::size_t{1} << 30);

// The whole file, piece after piece. UserError naming the path when it can't be read.
void read_in_pieces(const fs::path& path, const std::function<void(std::span<const std::byte>)>& take);

// The paths in a folder, sorted. RunError naming it when it can't be read.
std::vector<fs::path> list_folder(const fs::path& folder);

// A read-only mapping of a whole file, shared with the page cache. UserError when it can't be opened, or
// is a pipe or a device.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes to a temporary file in the same folder, syncs it, renames it over `path` and syncs the folder.
// RunError naming path and cause; the old file stays as it was then.
void write_file_atomically(const fs::path& path, std::string_view bytes);

// Flushes a folder's entries to disk. RunError on failure.
void sync_folder(const fs::path& folder);

// UserError, `flag` in front, unless `folder` is one, or could be made, and files can be written in it. Makes
// nothing.
void check_can_hold_files(const fs::path& folder, const std::string& flag);

// Creates `folder` (and parents) and proves that files can be written there. UserError if not.
void make_writable_folder(const fs::path& folder);

}  // namespace higgs
