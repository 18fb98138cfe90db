#include "higgs/base/lfs.h"

#include "higgs/base/error.h"

namespace higgs {

void refuse_lfs_pointer(const fs::path& path) {
  std::error_code error;
  if (fs::file_size(path, error) > 1024 || error || !is_lfs_pointer(read_file(path))) return;
  throw UserError(path.string() +
                  ": is a git-LFS pointer, not the file itself; run `git lfs pull` in its repository");
}

}  // namespace higgs
