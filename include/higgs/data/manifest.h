// A JSONL manifest: one ChatML sample a line. Lines are found once and then read from the mapped file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

class Manifest {
 public:
  // UserError when the file can't be read or holds no sample. Blank lines are passed over.
  explicit Manifest(const fs::path& path);

  std::size_t size() const { return begins_.size(); }
  std::string_view line(std::size_t i) const;
  // "manifest.jsonl:12", for messages.
  std::string where(std::size_t i) const;
  // Folder that relative clip paths start from.
  fs::path folder() const { return file_.path().parent_path(); }
  const fs::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::uint64_t> numbers_;  // line numbers from 1
};

}  // namespace higgs
