#include "higgs/formats/peft_config.h"

#include <cmath>
#include <regex>

#include "higgs/base/error.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {

// PEFT's rule: a pattern matches the whole module path, or its ending after a dot.
bool pattern_matches(const std::string& pattern, const std::string& module_path) {
  try {
    return std::regex_match(module_path, std::regex("(.*\\.)?(" + pattern + ")"));
  } catch (const std::regex_error&) {
    throw UserError("adapter_config.json: alpha_pattern '" + pattern + "' is not a valid regular expression");
  }
}

// What changes the result and isn't done here must be refused, not ignored.
void refuse_unsupported(const JsonObject& fields) {
  for (const char* flag : {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "use_bdlora"}) {
    if (fields.has(flag) && fields.json().at(flag) == true) {
      throw UserError(fields.where() + ": " + flag + " is not supported");
    }
  }
  if (fields.string("bias", "none") != "none") throw UserError(fields.where() + ": bias must be \"none\"");
  for (const char* key : {"modules_to_save", "layer_replication", "megatron_config", "target_parameters",
                          "trainable_token_indices", "alora_invocation_tokens"}) {
    if (fields.has(key) && !fields.json().at(key).empty()) {
      throw UserError(fields.where() + ": " + key + " is not supported");
    }
  }
}

}  // namespace

double PeftConfig::scaling(const std::string& module_path, std::int64_t rank) const {
  double alpha = lora_alpha;
  for (const auto& [pattern, value] : alpha_pattern) {
    if (pattern_matches(pattern, module_path)) {
      alpha = value;
      break;
    }
  }
  const double n = static_cast<double>(rank);
  return use_rslora ? alpha / std::sqrt(n) : alpha / n;
}

PeftConfig read_peft_config(const fs::path& adapter_folder) {
  const fs::path path = adapter_folder / "adapter_config.json";
  if (!fs::exists(path)) throw UserError(path.string() + ": missing; an adapter is a PEFT folder");
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  if (fields.string("peft_type") != "LORA") {
    throw UserError(path.string() + ": peft_type '" + fields.string("peft_type") +
                    "' is not supported, LORA is");
  }
  refuse_unsupported(fields);
  PeftConfig config;
  config.base_model_name_or_path = fields.string("base_model_name_or_path", "");
  config.r = fields.integer("r");
  config.lora_alpha = fields.number("lora_alpha");
  config.lora_dropout = fields.number("lora_dropout", 0.0);
  config.use_rslora = fields.boolean("use_rslora", false);
  if (fields.has("target_modules") && document.at("target_modules").is_string()) {
    config.target_regex = fields.string("target_modules");
  } else if (fields.has("target_modules")) {
    config.target_modules = fields.strings("target_modules");
  }
  if (fields.has("alpha_pattern")) {
    const JsonObject patterns = fields.object("alpha_pattern");
    for (const auto& [pattern, alpha] : patterns.json().items()) {
      if (pattern.size() > 256) throw UserError(path.string() + ": alpha_pattern longer than 256 characters");
      config.alpha_pattern[pattern] = patterns.number(pattern);
    }
  }
  if (fields.has("rank_pattern")) {
    const JsonObject patterns = fields.object("rank_pattern");
    for (const auto& [pattern, rank] : patterns.json().items()) {
      config.rank_pattern[pattern] = patterns.integer(pattern);
    }
  }
  return config;
}

std::string peft_config_json(const PeftConfig& config) {
  nlohmann::ordered_json document = {{"alpha_pattern", config.alpha_pattern},
                                     {"auto_mapping", nullptr},
                                     {"base_model_name_or_path", config.base_model_name_or_path},
                                     {"bias", "none"},
                                     {"fan_in_fan_out", false},
                                     {"inference_mode", true},
                                     {"init_lora_weights", true},
                                     {"layer_replication", nullptr},
                                     {"layers_pattern", nullptr},
                                     {"layers_to_transform", nullptr},
                                     {"loftq_config", nlohmann::ordered_json::object()},
                                     {"lora_alpha", config.lora_alpha},
                                     {"lora_dropout", config.lora_dropout},
                                     {"megatron_config", nullptr},
                                     {"megatron_core", "megatron.core"},
                                     {"modules_to_save", nullptr},
                                     {"peft_type", "LORA"},
                                     {"r", config.r},
                                     {"rank_pattern", config.rank_pattern},
                                     {"revision", nullptr},
                                     {"target_modules", config.target_modules},
                                     {"task_type", config.task_type},
                                     {"use_dora", false},
                                     {"use_rslora", config.use_rslora}};
  if (config.lora_alpha == std::floor(config.lora_alpha)) {
    document["lora_alpha"] = static_cast<std::int64_t>(config.lora_alpha);
  }
  if (!config.target_regex.empty()) document["target_modules"] = config.target_regex;
  return document.dump(2) + "\n";
}

}  // namespace higgs
