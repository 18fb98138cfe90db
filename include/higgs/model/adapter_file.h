// A PEFT folder as it is read: its tensors sorted by the module they belong to, checked against its own
// configuration, before they meet a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "higgs/formats/peft_config.h"

namespace higgs {

// The low-rank tensors of one linear map; views of the mapped file, in the type they are stored in.
struct LoraModule {
  at::Tensor a, b;       // [r, in], [out, r]
  at::Tensor magnitude;  // [out]; undefined without DoRA
  double scaling = 0.0;
};

class AdapterFile {
 public:
  // UserError naming file and tensor: half a pair, shapes that don't fit together or the configuration, a
  // magnitude too many or too few, a module to save without its tensor, anything that isn't part of LoRA.
  explicit AdapterFile(const fs::path& folder);

  const PeftConfig& config() const { return config_; }
  const fs::path& path() const { return path_; }  // of adapter_model.safetensors
  // By PEFT's name of the module in the base: "model.layers.0.self_attn.q_proj" (HF layout).
  const std::map<std::string, LoraModule>& modules() const { return modules_; }
  // Whole tensors that replace the base's, by the name they have there: "audio_lm_head.weight".
  const std::map<std::string, at::Tensor>& saved() const { return saved_; }

 private:
  void sort_in(const std::string& key, at::Tensor tensor);
  void check_module(const std::string& module, LoraModule& lora) const;
  void check_modules_to_save() const;

  PeftConfig config_;
  fs::path path_;
  std::map<std::string, LoraModule> modules_;
  std::map<std::string, at::Tensor> saved_;
};

// What PEFT puts before every name of the base.
inline constexpr const char* kPeftPrefix = "base_model.model.";

}  // namespace higgs
