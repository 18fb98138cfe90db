// A JSONL manifest: one ChatML sample a line. Read whole: the file may change afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/data/clip_folder.h"

namespace higgs {

class Manifest {
 public:
  // UserError when the file can't be read or holds no sample. Blank lines are passed over.
  explicit Manifest(const fs::path& path, bool confine_paths = false);

  std::size_t size() const { return begins_.size(); }
  std::string_view line(std::size_t i) const;
  // "manifest.jsonl:12", for messages.
  std::string where(std::size_t i) const;
  // Where its clips are looked for.
  ClipFolder clips() const { return {path_.parent_path(), confine_paths_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool confine_paths_;
  std::string text_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::uint64_t> numbers_;  // line numbers from 1
};

}  // namespace higgs
