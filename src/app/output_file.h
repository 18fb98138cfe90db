// Files a flag names for a result: looked at before the work, made room for after it.
#pragma once

#include <string>

#include "higgs/base/file.h"

namespace higgs {

// UserError naming the flag when `path` is a folder, or its folder can't be made or written to.
void check_output_file(const fs::path& path, const std::string& flag);

// Makes the file's folder. UserError.
void make_folder_for(const fs::path& path);

}  // namespace higgs
