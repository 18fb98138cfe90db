// adapter_config.json of a PEFT LoRA folder.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct PeftConfig {
  std::string base_model_name_or_path;
  std::int64_t r = 0;
  double lora_alpha = 0;
  double lora_dropout = 0;
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> target_modules;   // module paths or their endings, as written; empty when a regex
  std::string target_regex;                  // when target_modules is one string
  std::vector<std::string> modules_to_save;  // modules whose whole tensors the adapter carries
  // Regular expression of a module path -> its value, in the file's order: the first that matches counts.
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::string task_type = "CAUSAL_LM";
  // What else narrows the modules down (exclude_modules, layers_to_transform, layers_pattern): the tensors
  // say the same, so it is only kept for writing.
  nlohmann::ordered_json selection = nlohmann::ordered_json::object();

  // The rank PEFT gives a module ("model.layers.0.mlp.up_proj").
  std::int64_t rank(const std::string& module_path) const;
  // Factor before B(A(x)) of a module with rank `rank`: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
  double scaling(const std::string& module_path, std::int64_t rank) const;
};

// UserError for what isn't a LoRA adapter, or uses a method this program doesn't do (named).
PeftConfig read_peft_config(const fs::path& adapter_folder);

// Only fields that peft 0.13 knows, so that older loaders take it too.
std::string peft_config_json(const PeftConfig& config);

}  // namespace higgs
