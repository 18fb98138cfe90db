#include "higgs/app/prompt_file.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {
constexpr double kMostSeconds = 10.0;  // a token is a few letters; speech has three a second
}  // namespace

std::string prompt_file_text(const PromptFile& prompt) {
  const nlohmann::ordered_json document = {
      {"system_text", prompt.system_text},
      {"seconds_per_text_token", std::min(prompt.seconds_per_text_token, kMostSeconds)}};
  return document.dump(2) + "\n";
}

void write_prompt_file(const fs::path& adapter_folder, const PromptFile& prompt) {
  write_file_atomically(adapter_folder / kPromptFileName, prompt_file_text(prompt));
}

std::optional<PromptFile> read_prompt_file(const fs::path& adapter_folder) {
  const fs::path path = adapter_folder / kPromptFileName;
  if (!fs::exists(path)) return std::nullopt;
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  PromptFile prompt{fields.string("system_text", ""), fields.number("seconds_per_text_token", 0.0)};
  if (!(prompt.seconds_per_text_token >= 0.0 && prompt.seconds_per_text_token <= kMostSeconds)) {
    throw UserError(path.string() + ": key 'seconds_per_text_token' must be 0 to " +
                    std::to_string(static_cast<int>(kMostSeconds)));
  }
  return prompt;
}

}  // namespace higgs
