// The LoRA adapter of a model: its tensors in one flat buffer, made afresh, read from a PEFT folder, written
// to one.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "higgs/formats/peft_config.h"
#include "higgs/model/higgs_model.h"

namespace higgs {

struct LoraOptions {
  std::int64_t r = 16;
  double alpha = 32;
  double dropout = 0.05;
  std::uint64_t seed = 0;  // of A's initial values
  std::string base_name;   // what adapter_config.json calls the base: its hub id; "": the folder's full path
};

// One adapter tensor: a leaf that is a window of the flat buffers.
struct AdapterTensor {
  std::string key;  // PEFT's: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
  at::Tensor value, grad;
};

class Adapter {
 public:
  // A new adapter on every linear map of the model: A ~ U(-1/sqrt(in), 1/sqrt(in)) (kaiming_uniform with a =
  // sqrt 5, as PEFT), B zero.
  Adapter(HiggsModel& model, const LoraOptions& options);
  // A PEFT folder's adapter, on the modules it names. UserError naming the folder and the tensor when it is
  // of another base: unknown module, other shape, a pair without its other half, or keys of the other layout.
  Adapter(HiggsModel& model, const fs::path& folder);
  ~Adapter();  // takes the adapter off the model
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  const PeftConfig& config() const { return config_; }
  // In the order of their keys in the flat buffers.
  const std::vector<AdapterTensor>& tensors() const { return tensors_; }
  at::Tensor& values() { return values_; }  // float32 [P], all tensors end to end
  at::Tensor& grads() { return grads_; }    // float32 [P]; backward() adds into it
  std::int64_t num_parameters() const { return values_.numel(); }

  // adapter_model.safetensors and adapter_config.json, each written atomically.
  void save(const fs::path& folder) const;
  // Values of a saved adapter_model.safetensors into this one (same keys and shapes, else UserError).
  void load_values(const fs::path& file);

 private:
  struct Slot {
    LoraLinear* linear;
    std::int64_t rank;
    double scaling;
  };
  void build(const std::vector<Slot>& slots);
  std::string key_of(const LoraLinear& linear, const char* which) const;

  HiggsModel& model_;
  PeftConfig config_;
  std::vector<AdapterTensor> tensors_;
  at::Tensor values_, grads_;
};

}  // namespace higgs
