// A JSONL manifest: one ChatML sample a line, read line after line, so that its size doesn't matter.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "higgs/data/clip_folder.h"

namespace higgs {

class Manifest {
 public:
  // UserError when the file can't be read. It may be a pipe, `<(command)`.
  explicit Manifest(const fs::path& path, bool confine_paths = false);

  // Goes to the next line that isn't blank; false at the end. UserError when the file can't be read on, and
  // at the end of one that holds no sample.
  bool next();
  std::string_view line() const { return line_; }
  // Its number in the file, from 1.
  std::uint64_t number() const { return number_; }
  // "manifest.jsonl:12", for messages.
  std::string where() const { return path_.string() + ":" + std::to_string(number_); }

  // Where its clips are looked for.
  ClipFolder clips() const { return {path_.parent_path(), confine_paths_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool confine_paths_;
  std::ifstream file_;
  std::string line_;
  std::uint64_t number_ = 0;
  bool holds_samples_ = false;
};

// How many samples a manifest holds; 0 for a pipe, which can be read only once. UserError.
std::size_t count_samples(const fs::path& manifest);

}  // namespace higgs
