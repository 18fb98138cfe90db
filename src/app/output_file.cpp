#include "output_file.h"

#include "higgs/base/error.h"

namespace higgs {

void check_output_file(const fs::path& path, const std::string& flag) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    throw UserError(flag + " " + path.string() + ": is a folder; name a file in it");
  }
  check_can_hold_files(fs::absolute(path).parent_path(), flag);
}

void make_folder_for(const fs::path& path) {
  make_writable_folder(fs::absolute(path).parent_path());
}

}  // namespace higgs
