#include "higgs/data/manifest.h"

#include <cerrno>
#include <cstring>

#include "higgs/base/error.h"

namespace higgs {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

Manifest::Manifest(const fs::path& path, bool confine_paths) : path_(path), confine_paths_(confine_paths) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw UserError(path.string() + ": is a folder, a file is expected");
  file_.open(path, std::ios::binary);
  if (!file_) throw UserError(path.string() + ": cannot be opened: " + std::strerror(errno));
}

bool Manifest::next() {
  while (std::getline(file_, line_)) {
    ++number_;
    if (is_blank(line_)) continue;
    holds_samples_ = true;
    return true;
  }
  if (file_.bad()) throw UserError(path_.string() + ": cannot be read: " + std::strerror(errno));
  if (!holds_samples_) {
    throw UserError(path_.string() + ": holds no sample; each line is one ChatML sample in JSON");
  }
  return false;
}

std::size_t count_samples(const fs::path& path) {
  if (!fs::is_regular_file(path)) return 0;
  std::size_t count = 0;
  for (Manifest manifest(path); manifest.next();) ++count;
  return count;
}

}  // namespace higgs
