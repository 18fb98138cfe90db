#include "higgs/formats/peft_config.h"

#include <cmath>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "module_pattern.h"

namespace higgs {
namespace {

constexpr std::size_t kMaxPatterns = 1024;  // each is tried on each module

// Null, false, empty: not asked for.
bool is_set(const JsonObject& fields, const char* key) {
  if (!fields.has(key)) return false;
  const Json& value = fields.json().at(key);
  return value.is_boolean() ? value.get<bool>()
                            : !(value.is_structured() || value.is_string()) || !value.empty();
}

[[noreturn]] void refuse(const JsonObject& fields, const std::string& what) {
  throw UserError(fields.where() + ": " + what +
                  " is not supported; merge the adapter with peft, or train another");
}

// What changes the result and isn't done here must be refused, not ignored.
void refuse_unsupported(const JsonObject& fields) {
  for (const char* key :
       {"lora_bias", "fan_in_fan_out", "use_qalora", "use_bdlora", "layer_replication", "megatron_config",
        "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config",
        "kasa_config", "velora_config", "monteclora_config", "target_modules_to_tie"}) {
    if (is_set(fields, key)) refuse(fields, key);
  }
  if (fields.string("bias", "none") != "none") throw UserError(fields.where() + ": bias must be \"none\"");
  // These begin by taking B A off the base's weights, which the adapter's file doesn't hold.
  if (fields.has("init_lora_weights") && fields.json().at("init_lora_weights").is_string()) {
    const std::string init = fields.string("init_lora_weights");
    for (const char* method : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
      if (init.rfind(method, 0) == 0) {
        throw UserError(fields.where() + ": init_lora_weights \"" + init +
                        "\" changes the base; have peft convert the adapter to plain LoRA when saving it");
      }
    }
  }
}

// `document` is the same file with its order kept, which counts here; JsonObject's is alphabetical.
template <typename Value, typename Read>
void read_patterns(const OrderedJson& document, const JsonObject& fields, const char* key,
                   std::vector<std::pair<std::string, Value>>& patterns, Read read) {
  if (!fields.has(key)) return;
  const JsonObject values = fields.object(key);
  if (values.json().size() > kMaxPatterns) {
    throw UserError(fields.where() + ": " + key + " has more than " + std::to_string(kMaxPatterns) +
                    " patterns");
  }
  for (const auto& [pattern, value] : document.at(key).items()) {
    pattern_matches(pattern, "", fields.where() + ": " + key);  // or says that it isn't one
    patterns.emplace_back(pattern, read(values, pattern));
  }
}

// The value of the first pattern that matches.
template <typename Value>
Value first_match(const std::vector<std::pair<std::string, Value>>& patterns, const std::string& module_path,
                  Value otherwise) {
  for (const auto& [pattern, value] : patterns) {
    if (pattern_matches(pattern, module_path, "adapter_config.json: pattern")) return value;
  }
  return otherwise;
}

template <typename Value>
OrderedJson object_of(const std::vector<std::pair<std::string, Value>>& patterns) {
  OrderedJson object = OrderedJson::object();
  for (const auto& [pattern, value] : patterns) object[pattern] = value;
  return object;
}

}  // namespace

std::int64_t PeftConfig::rank(const std::string& module_path) const {
  return first_match(rank_pattern, module_path, r);
}

double PeftConfig::scaling(const std::string& module_path, std::int64_t rank) const {
  const double alpha = first_match(alpha_pattern, module_path, lora_alpha);
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
  config.use_dora = fields.boolean("use_dora", false);
  if (fields.has("target_modules") && document.at("target_modules").is_string()) {
    config.target_regex = fields.string("target_modules");
  } else if (fields.has("target_modules")) {
    config.target_modules = fields.strings("target_modules");
  }
  if (fields.has("modules_to_save")) config.modules_to_save = fields.strings("modules_to_save");
  const OrderedJson ordered = read_ordered_json_file(path);
  for (const char* key : {"exclude_modules", "layers_to_transform", "layers_pattern"}) {
    if (is_set(fields, key)) config.selection[key] = ordered.at(key);
  }
  read_patterns(ordered, fields, "alpha_pattern", config.alpha_pattern,
                [](const JsonObject& values, const std::string& pattern) { return values.number(pattern); });
  read_patterns(ordered, fields, "rank_pattern", config.rank_pattern,
                [](const JsonObject& values, const std::string& pattern) { return values.integer(pattern); });
  return config;
}

std::string peft_config_json(const PeftConfig& config) {
  OrderedJson document = {{"alpha_pattern", object_of(config.alpha_pattern)},
                          {"auto_mapping", nullptr},
                          {"base_model_name_or_path", config.base_model_name_or_path},
                          {"bias", "none"},
                          {"fan_in_fan_out", false},
                          {"inference_mode", true},
                          {"init_lora_weights", true},
                          {"layer_replication", nullptr},
                          {"layers_pattern", nullptr},
                          {"layers_to_transform", nullptr},
                          {"loftq_config", OrderedJson::object()},
                          {"lora_alpha", config.lora_alpha},
                          {"lora_dropout", config.lora_dropout},
                          {"megatron_config", nullptr},
                          {"megatron_core", "megatron.core"},
                          {"modules_to_save", nullptr},
                          {"peft_type", "LORA"},
                          {"r", config.r},
                          {"rank_pattern", object_of(config.rank_pattern)},
                          {"revision", nullptr},
                          {"target_modules", config.target_modules},
                          {"task_type", config.task_type},
                          {"use_dora", config.use_dora},
                          {"use_rslora", config.use_rslora}};
  if (std::abs(config.lora_alpha) < 1e15 && config.lora_alpha == std::floor(config.lora_alpha)) {
    document["lora_alpha"] = static_cast<std::int64_t>(config.lora_alpha);
  }
  if (!config.target_regex.empty()) document["target_modules"] = config.target_regex;
  if (!config.modules_to_save.empty()) document["modules_to_save"] = config.modules_to_save;
  for (const auto& item : config.selection.items()) document[item.key()] = item.value();
  // A folder's name need not be UTF-8.
  return document.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace higgs
