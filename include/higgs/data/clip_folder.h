// Where a manifest's clips are looked for: its own folder, and with `confined` nowhere else.
#pragma once

#include <string>

#include "higgs/base/file.h"

namespace higgs {

struct ClipFolder {
  fs::path path;
  bool confined = false;  // --confine_paths

  ClipFolder(fs::path folder, bool is_confined = false) : path(std::move(folder)), confined(is_confined) {}

  // The file that a manifest names. Relative paths start from the folder. UserError, `where` in front, when
  // there is no such file, it isn't a regular one (a pipe, a device), or its name is an address. When
  // confined also for an absolute path, one with "..", and one whose symbolic links lead out of the folder;
  // what comes back then holds no link.
  fs::path find(const std::string& name, const std::string& where) const;
};

}  // namespace higgs
