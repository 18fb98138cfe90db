// The folder of a training run, --output_dir: what it holds, who writes in it, where the run goes on from.
#pragma once

#include <string>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/base/folder_lock.h"

namespace higgs {

class RunFolder {
 public:
  struct Wish {
    std::string resume;  // "auto", "none", or a checkpoint's folder
    bool overwrite = false;
  };
  RunFolder(fs::path folder, Wish wish) : folder_(std::move(folder)), wish_(std::move(wish)) {}

  // Finds out whether a run begins here or goes on, and changes nothing. UserError when the folder holds what
  // must not be touched, or can't be written in.
  void look();
  // The checkpoint that look() found to go on from; "" to begin anew.
  const fs::path& resume_from() const { return resume_from_; }
  // From now on the folder is this process's: removes what an earlier run left (or renames checkpoints of
  // later steps than `first_step`), and writes config.toml. UserError when another run is at work there, or
  // has been since look().
  void take(std::int64_t first_step, const std::string& config);

 private:
  fs::path find() const;
  fs::path newest_whole() const;
  std::vector<std::string> names() const;  // of the checkpoints there are
  bool continues_from(const fs::path& checkpoint) const;
  fs::path checkpoints() const { return folder_ / "checkpoints"; }

  fs::path folder_;
  Wish wish_;
  fs::path resume_from_;
  std::vector<std::string> seen_;  // names() when look() looked
  FolderLock lock_;
};

}  // namespace higgs
