// Folders as the fault programs need them: copied, damaged, on a file system of their own.
#pragma once

#include <optional>
#include <string>

#include "support/paths.h"

namespace higgs::test {

void copy_folder(const fs::path& from, const fs::path& to);

// Lets this process mount what only it and its children see, with the rights of root or without. What forbids
// it, or nothing. Call it before there are threads.
std::optional<std::string> own_mounts();
// A file system in memory of so many KiB at `folder`, which is made.
std::optional<std::string> mount_in_memory(const fs::path& folder, int kibibytes);
std::optional<std::string> change_size(const fs::path& folder, int kibibytes);
// Makes a folder read-only, or writable again, whoever writes.
std::optional<std::string> make_read_only(const fs::path& folder);
void unmount(const fs::path& folder);

}  // namespace higgs::test
