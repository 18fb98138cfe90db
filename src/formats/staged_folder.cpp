#include "higgs/formats/staged_folder.h"

#include <unistd.h>

#include <cstdio>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

fs::path without_slash(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

void check_is_new_folder(const fs::path& folder, const std::string& flag) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(folder, ignored))) return;
  if (!fs::is_directory(folder, ignored)) throw UserError(flag + " " + folder.string() + ": is a file");
  if (!fs::is_empty(folder, ignored)) {
    throw UserError(flag + " " + folder.string() + ": is not empty; give another folder");
  }
}

void check_disk_space(const fs::path& folder, std::uint64_t bytes) {
  fs::path existing = without_slash(folder);
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  const fs::space_info space = fs::space(existing, error);
  if (error || space.available >= bytes) return;  // what can't be asked shows when it is written
  throw RunError(folder.string() + ": needs " + gigabytes(bytes) + ", " + gigabytes(space.available) +
                 " are free there; make room or give another folder");
}

StagedFolder::StagedFolder(const fs::path& final_folder) : final_(without_slash(final_folder)) {
  staged_ = final_.parent_path() / (".tmp-" + final_.filename().string() + "." + std::to_string(::getpid()));
  std::error_code error;
  fs::remove_all(staged_, error);
  fs::create_directories(staged_, error);
  if (error) throw RunError(staged_.string() + ": cannot be made: " + error.message());
}

StagedFolder::~StagedFolder() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(staged_, ignored);
}

void StagedFolder::commit() {
  sync_folder(staged_);
  std::error_code error;
  fs::rename(staged_, final_, error);
  if (error) throw RunError(final_.string() + ": cannot be put in place: " + error.message());
  committed_ = true;
  sync_folder(final_.parent_path());
}

}  // namespace higgs
