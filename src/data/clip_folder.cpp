#include "higgs/data/clip_folder.h"

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr const char* kAdvice = ", which --confine_paths forbids; copy the clip beside the manifest";

bool goes_up(const fs::path& path) {
  return std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

bool is_below(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

}  // namespace

fs::path ClipFolder::find(const std::string& name, const std::string& where) const {
  if (name.find("://") != std::string::npos) {
    throw UserError(where + ": audio_url '" + name + "' is not a local file; download the clip first");
  }
  const fs::path named(name);
  if (confined && named.is_absolute()) {
    throw UserError(where + ": " + name + ": an absolute path" + kAdvice);
  }
  if (confined && goes_up(named)) {
    throw UserError(where + ": " + name + ": a path with \"..\"" + kAdvice);
  }
  const fs::path whole = named.is_absolute() ? named : path / named;
  std::error_code error;
  const fs::file_status status = fs::status(whole, error);
  if (name.find('\0') != std::string::npos || !fs::exists(status)) {
    // A folder that may not be looked into, a link to itself: status() knows of no file then either.
    const bool has_reason =
        error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory;
    throw UserError(where + ": " + whole.string() + ": no such clip" +
                    (has_reason ? " (" + error.message() + ")" : ""));
  }
  if (!fs::is_regular_file(status)) throw UserError(where + ": " + whole.string() + ": is no file of sound");
  if (!confined) return whole;
  const fs::path real = fs::canonical(whole, error);
  if (error || !is_below(real, fs::canonical(path.empty() ? fs::path(".") : path, error)) || error) {
    throw UserError(where + ": " + whole.string() + ": a symbolic link out of the manifest's folder" +
                    kAdvice);
  }
  return real;
}

}  // namespace higgs
