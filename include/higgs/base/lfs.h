// Git-LFS pointers: the short text that a clone without git-lfs leaves in place of a large file.
#pragma once

#include <string_view>

#include "higgs/base/file.h"

namespace higgs {

inline bool is_lfs_pointer(std::string_view text) {
  return text.substr(0, 200).rfind("version https://git-lfs", 0) == 0;
}

// UserError when `path` is such a pointer.
void refuse_lfs_pointer(const fs::path& path);

}  // namespace higgs
