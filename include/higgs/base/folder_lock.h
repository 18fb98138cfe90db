// One process at a time writes into a folder.
#pragma once

#include "higgs/base/file.h"

namespace higgs {

// Holds the folder (flock on the folder itself: nothing is left behind, whatever ends the process). Where the
// file system knows no locks it holds nothing.
class FolderLock {
 public:
  FolderLock() = default;
  // UserError when another process holds `folder`, which must exist.
  explicit FolderLock(const fs::path& folder);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace higgs
