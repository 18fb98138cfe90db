// adapter_config.json of a PEFT LoRA folder.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct PeftConfig {
  std::string base_model_name_or_path;
  std::int64_t r = 0;
  double lora_alpha = 0;
  double lora_dropout = 0;
  bool use_rslora = false;
  std::vector<std::string> target_modules;  // module paths or their endings, as written; empty when a regex
  std::string target_regex;                 // when target_modules is one string
  std::map<std::string, double> alpha_pattern;       // regex of a module path -> alpha
  std::map<std::string, std::int64_t> rank_pattern;  // likewise; kept for writing, the tensors say each rank
  std::string task_type = "CAUSAL_LM";

  // Factor before B(A(x)) of a module with rank `rank`: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
  double scaling(const std::string& module_path, std::int64_t rank) const;
};

// UserError for what isn't a LoRA adapter, or uses a method this program doesn't do (named).
PeftConfig read_peft_config(const fs::path& adapter_folder);

// Only fields that peft 0.13 knows, so that older loaders take it too.
std::string peft_config_json(const PeftConfig& config);

}  // namespace higgs
