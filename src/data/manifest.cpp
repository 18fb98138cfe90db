#include "higgs/data/manifest.h"

#include <algorithm>
#include <limits>

#include "higgs/base/error.h"

namespace higgs {
Manifest::Manifest(const fs::path& path, bool confine_paths)
    : path_(path),
      confine_paths_(confine_paths),
      text_(read_file_or_pipe(path, std::numeric_limits<std::size_t>::max())) {
  const std::string_view text = text_;
  std::uint64_t number = 1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (text.substr(begin, end - begin).find_first_not_of(" \t\r") != std::string_view::npos) {
      begins_.push_back(begin);
      numbers_.push_back(number);
    }
    begin = end + 1;
  }
  if (begins_.empty())
    throw UserError(path.string() + ": holds no sample; each line is one ChatML sample in JSON");
}

std::string_view Manifest::line(std::size_t i) const {
  const std::string_view text = text_;
  const std::size_t begin = begins_.at(i);
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

std::string Manifest::where(std::size_t i) const {
  return path_.string() + ":" + std::to_string(numbers_.at(i));
}

}  // namespace higgs
