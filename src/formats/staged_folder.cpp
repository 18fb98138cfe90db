#include "higgs/formats/staged_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

// With a last name that is one. What stands before it is left to the system: behind a link, ".." is not the
// folder before.
fs::path without_slash(const fs::path& folder) {
  fs::path whole = fs::absolute(folder);
  while (!whole.has_filename() && whole.has_relative_path()) whole = whole.parent_path();
  const bool named = whole.filename() != "." && whole.filename() != "..";
  return named ? whole : fs::weakly_canonical(whole);
}

constexpr const char* kBegin = ".tmp-";
constexpr const char* kAside = ".old";  // an old folder while the new one takes its place

// "NAME" of "NAME.PID"; "" without a PID.
std::string without_pid(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  const bool has_pid = dot != std::string::npos && dot + 1 < name.size() &&
                       std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(),
                                   [](char c) { return c >= '0' && c <= '9'; });
  return has_pid ? name.substr(0, dot) : "";
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

std::string name_when_finished(const std::string& name) {
  const std::string begin = kBegin, middle = ".tmp";
  if (name.starts_with(begin)) {
    const std::size_t end = name.size() - (name.ends_with(kAside) ? std::string(kAside).size() : 0);
    return without_pid(name.substr(begin.size(), end - begin.size()));
  }
  const std::string rest = without_pid(name);
  return rest.ends_with(middle) ? rest.substr(0, rest.size() - middle.size()) : "";
}

void remove_unfinished(const fs::path& folder, const std::function<bool(const std::string& name)>& is_ours) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return;
  for (const fs::path& path : list_folder(folder)) {
    const std::string name = name_when_finished(path.filename().string());
    if (name.empty() || !is_ours(name)) continue;
    const bool aside = path.filename().string().ends_with(kAside);
    if (aside && !fs::exists(fs::symlink_status(folder / name, error)))
      fs::rename(path, folder / name, error);
    fs::remove_all(path, error);
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
  staged_ = final_.parent_path() / (kBegin + final_.filename().string() + "." + std::to_string(::getpid()));
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

void StagedFolder::put_in_place() {
  std::error_code error;
  fs::rename(staged_, final_, error);
  if (error) throw RunError(final_.string() + ": cannot be put in place: " + error.message());
}

void StagedFolder::commit() {
  sync_folder(staged_);
  put_in_place();
  committed_ = true;
  sync_folder(final_.parent_path());
}

void StagedFolder::commit_over() {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(final_, error))) return commit();
  sync_folder(staged_);
  if (::renameat2(AT_FDCWD, staged_.c_str(), AT_FDCWD, final_.c_str(), RENAME_EXCHANGE) != 0) {
    // Not every file system can exchange two names: then the old folder steps aside for a moment.
    const fs::path aside = staged_.string() + kAside;
    fs::rename(final_, aside, error);
    if (error) throw RunError(final_.string() + ": cannot be replaced: " + error.message());
    try {
      put_in_place();
    } catch (const RunError&) {
      fs::rename(aside, final_, error);
      throw;
    }
    staged_ = aside;
  }
  sync_folder(final_.parent_path());
  fs::remove_all(staged_, error);  // what can't be removed now is at the next start
  committed_ = true;
}

}  // namespace higgs
