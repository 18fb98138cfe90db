// The files of a base checkpoint that go along with its weights.
#pragma once

#include <vector>

#include "higgs/base/file.h"

namespace higgs {

// Relative paths of what stands in `folder` beside the weights: configuration, tokenizer, licence, chat
// template and so on, in subfolders too. Left out are weights in any format and their indices (but not those
// of a subfolder that is a model of its own, with a config.json: the codec), the model card, and what belongs
// to git or to a download.
std::vector<fs::path> companion_files(const fs::path& folder);

std::uint64_t size_of_files(const fs::path& folder, const std::vector<fs::path>& files);

// Copies them, symbolic links as the files they point to, synced to disk. RunError.
void copy_files(const fs::path& from, const std::vector<fs::path>& files, const fs::path& to);

}  // namespace higgs
