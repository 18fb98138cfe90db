// A folder that appears whole or not at all: it is filled under another name beside its place and then
// renamed.
#pragma once

#include <functional>
#include <string>

#include "higgs/base/file.h"

namespace higgs {

// UserError, `flag` in front, when `folder` is there and isn't an empty folder.
void check_is_new_folder(const fs::path& folder, const std::string& flag);

// NAME of a file or folder that is being written (".tmp-NAME.PID", "NAME.tmp.PID"); "" for any other.
std::string name_when_finished(const std::string& name);

// Removes from `folder` what processes that were killed have left of folders and files that they were
// writing, where `is_ours` says so of the name they were to have. What had stepped aside for one comes back.
// Only for a folder that no other process writes to.
void remove_unfinished(
    const fs::path& folder,
    const std::function<bool(const std::string& name)>& is_ours = [](const std::string&) { return true; });

// RunError when the file system that will hold `folder` has less than `bytes` free.
void check_disk_space(const fs::path& folder, std::uint64_t bytes);

class StagedFolder {
 public:
  // RunError when the folder beside `final_folder` can't be made.
  explicit StagedFolder(const fs::path& final_folder);
  ~StagedFolder();  // removes it unless committed
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const fs::path& path() const { return staged_; }  // write the files here
  // Puts it in place; an empty folder there gives way. RunError.
  void commit();
  // The same where a folder may be there already: from one moment to the next it is the new one.
  void commit_over();

 private:
  void put_in_place();
  fs::path final_, staged_;
  bool committed_ = false;
};

}  // namespace higgs
