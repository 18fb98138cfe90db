#include "higgs/model/adapter_file.h"

#include <ATen/ops/isfinite.h>

#include <memory>
#include <string_view>

#include "higgs/base/error.h"
#include "higgs/formats/safetensors.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

// Takes `ending` off `text`; false when it doesn't end so.
bool strip(std::string& text, const std::string& ending) {
  if (!text.ends_with(ending)) return false;
  text.resize(text.size() - ending.size());
  return true;
}

std::string shape_of(const at::Tensor& tensor) {
  std::string text = "[";
  for (std::int64_t i = 0; i < tensor.dim(); ++i) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]";
}

}  // namespace

AdapterFile::AdapterFile(const fs::path& folder)
    : config_(read_peft_config(folder)), path_(folder / "adapter_model.safetensors") {
  if (!fs::exists(path_)) {
    throw UserError(path_.string() + ": missing" +
                    (fs::exists(folder / "adapter_model.bin")
                         ? "; only adapter_model.bin is there: save the adapter with safe_serialization=True"
                         : "; an adapter is a PEFT folder"));
  }
  const auto file = std::make_shared<const SafetensorsFile>(path_, SafetensorsFile::Access::kRead);
  for (const auto& [key, view] : file->tensors()) sort_in(key, view_of(view, file));
  for (auto& [module, lora] : modules_) check_module(module, lora);
  check_modules_to_save();
  if (modules_.empty() && saved_.empty()) throw UserError(path_.string() + ": holds no LoRA tensors");
}

void AdapterFile::sort_in(const std::string& key, at::Tensor tensor) {
  const std::string where = path_.string() + ": '" + key + "'";
  if (!at::isFloatingType(tensor.scalar_type())) {
    throw UserError(where + " must hold floating point numbers");
  }
  if (!at::isfinite(tensor).all().item<bool>()) throw UserError(where + " holds values that are not finite");
  if (key.rfind(kPeftPrefix, 0) != 0) {
    throw UserError(where + " does not begin with \"" + kPeftPrefix + "\" as PEFT's names do");
  }
  std::string name = key.substr(std::string(kPeftPrefix).size());
  if (strip(name, ".lora_A.weight")) {
    modules_[name].a = std::move(tensor);
  } else if (strip(name, ".lora_B.weight")) {
    modules_[name].b = std::move(tensor);
  } else if (strip(name, ".lora_magnitude_vector")) {
    modules_[name].magnitude = std::move(tensor);
  } else if (name.find(".lora_") != std::string::npos) {
    throw UserError(where + " is a kind of LoRA tensor that is not supported");
  } else {
    saved_[name] = std::move(tensor);
  }
}

void AdapterFile::check_module(const std::string& module, LoraModule& lora) const {
  const std::string key = kPeftPrefix + module;
  const auto need = [&](bool present, const std::string& ending) {
    if (!present) throw UserError(path_.string() + ": has no tensor '" + key + ending + "'");
  };
  need(lora.a.defined(), ".lora_A.weight");
  need(lora.b.defined(), ".lora_B.weight");
  if (config_.use_dora) need(lora.magnitude.defined(), ".lora_magnitude_vector");
  if (!config_.use_dora && lora.magnitude.defined()) {
    throw UserError(path_.string() + ": '" + key +
                    ".lora_magnitude_vector' belongs to DoRA, but adapter_config.json has no use_dora");
  }
  const std::int64_t rank = config_.rank(module);
  if (lora.a.dim() != 2 || lora.b.dim() != 2 || lora.a.size(0) != rank || lora.b.size(1) != rank ||
      rank <= 0) {
    throw UserError(path_.string() + ": '" + key + ".lora_A.weight' " + shape_of(lora.a) +
                    " and its lora_B " + shape_of(lora.b) + " are not of the rank " + std::to_string(rank) +
                    " that adapter_config.json gives this module");
  }
  if (lora.magnitude.defined() && (lora.magnitude.dim() != 1 || lora.magnitude.size(0) != lora.b.size(0))) {
    throw UserError(path_.string() + ": '" + key + ".lora_magnitude_vector' " + shape_of(lora.magnitude) +
                    " does not fit its lora_B " + shape_of(lora.b));
  }
  lora.scaling = config_.scaling(module, rank);
}

// PEFT takes a module, with all that is in it, whose path ends in the name.
void AdapterFile::check_modules_to_save() const {
  for (const std::string& module : config_.modules_to_save) {
    bool found = false;
    for (const auto& [name, tensor] : saved_) {
      const std::string_view path(name);
      for (auto dot = path.find('.'); !found && dot != path.npos; dot = path.find('.', dot + 1))
        found = path.substr(0, dot).ends_with(module);
    }
    if (!found) {
      throw UserError(path_.string() + ": holds no tensor of '" + module +
                      "', which adapter_config.json names in modules_to_save");
    }
  }
}

}  // namespace higgs
