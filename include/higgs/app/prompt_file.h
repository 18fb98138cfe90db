// higgs_prompt.json beside an adapter: the prompt form it was trained with, which generation follows.
#pragma once

#include <optional>
#include <string>

#include "higgs/base/file.h"

namespace higgs {

struct PromptFile {
  std::string system_text;              // "" when the training samples had different ones
  double seconds_per_text_token = 0.0;  // of the training set; 0: unknown
};

inline constexpr const char* kPromptFileName = "higgs_prompt.json";
std::string prompt_file_text(const PromptFile& prompt);
void write_prompt_file(const fs::path& adapter_folder, const PromptFile& prompt);
// Nothing when the folder has none.
std::optional<PromptFile> read_prompt_file(const fs::path& adapter_folder);

}  // namespace higgs
