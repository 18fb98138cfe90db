// The adapter of a model, LoRA and modules that are trained whole: its tensors in one flat buffer, made
// afresh, read from a PEFT folder, written to one.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "higgs/model/adapter_file.h"
#include "higgs/model/higgs_model.h"
#include "higgs/model/module_groups.h"

namespace higgs {

struct LoraOptions {
  std::int64_t r = 16;
  std::vector<GroupValue> ranks;             // of groups that have another; 0: no adapter there
  std::vector<std::string> modules_to_save;  // names of kWholeModules that are trained whole
  double alpha = 32;
  double dropout = 0.05;
  bool use_rslora = false, use_dora = false;
  std::uint64_t seed = 0;  // of A's initial values
  std::string base_name;   // what adapter_config.json calls the base: its hub id; "": the folder's full path
};

// One adapter tensor: a leaf that is a window of the flat buffers.
struct AdapterTensor {
  std::string key;     // PEFT's: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
  std::string module;  // "layers.0.self_attn.q_proj", or the name of one that is trained whole
  at::Tensor value, grad;
};

class Adapter {
 public:
  // A new adapter on every linear map of the model: A ~ U(-1/sqrt(in), 1/sqrt(in)) (kaiming_uniform with a =
  // sqrt 5, as PEFT), B zero, with DoRA the magnitude of each row of the base's weight; modules to save begin
  // as the base has them. UserError when there is nothing to train, or the base has no such module.
  Adapter(HiggsModel& model, const LoraOptions& options);
  // A PEFT folder's adapter, on the modules it names; whole tensors that it carries (modules_to_save) stand
  // in for the base's as long as it lives. UserError naming the folder and the tensor when it is of another
  // base: unknown module, other shape, or keys of the other layout.
  Adapter(HiggsModel& model, const fs::path& folder);
  ~Adapter();  // takes the adapter off the model
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  // An adapter that was read is to be trained on: dropout and the base's name as these say, whole tensors as
  // train_saved_modules(). UserError when it has low-rank tensors on a head, which aren't trained.
  void continue_with(const LoraOptions& options);
  // Whole tensors of kWholeModules move into the flat buffers, behind the others; anew: values() and grads().
  void train_saved_modules();

  const PeftConfig& config() const { return config_; }
  // In the order of their keys in the flat buffers.
  const std::vector<AdapterTensor>& tensors() const { return tensors_; }
  at::Tensor& values() { return values_; }  // float32 [P], all tensors end to end
  at::Tensor& grads() { return grads_; }    // float32 [P]; backward() adds into it
  std::size_t num_modules() const;          // linear maps that it is on
  std::int64_t num_parameters() const { return values_.numel(); }
  std::vector<std::string> trained_modules() const;  // names of kWholeModules
  // Names in the base of the other whole tensors it carries ("norm.weight"): used and saved, never trained.
  std::vector<std::string> saved_tensors() const;

  // adapter_model.safetensors and adapter_config.json, each written atomically.
  void save(const fs::path& folder) const;
  // With a copy of values() on the CPU instead of what they are now: another thread may do this meanwhile.
  void save(const fs::path& folder, const at::Tensor& values) const;
  // Values of a saved adapter_model.safetensors into this one (same keys and shapes, else UserError).
  void load_values(const fs::path& file);

 private:
  friend class WithoutAdapter;
  void set_active(bool active);
  struct Slot {
    LoraLinear* linear;
    std::int64_t rank;
    double scaling;
  };
  // A base's weight that the adapter has replaced.
  struct Replaced {
    std::string name;           // in the base's layout
    at::Tensor stored;          // as the adapter's file has it
    at::Tensor weight, before;  // the model's handle, and what it held (while inactive: what it will hold)
  };
  // A module that is trained whole, and the values it begins with.
  struct Whole {
    const WholeModule* module;
    at::Tensor first;
  };
  void build();
  void take_whole(const std::vector<std::string>& names);
  void replace(const AdapterFile& file);
  std::string key_of(const LoraLinear& linear, const char* ending) const;

  HiggsModel& model_;
  PeftConfig config_;
  std::vector<Slot> slots_;
  std::vector<Whole> whole_;
  std::vector<AdapterTensor> tensors_;
  std::vector<Replaced> replaced_;
  at::Tensor values_, grads_;
};

// As long as it lives the model computes as the base does: without the adapter, with its own tensors where
// the adapter brings some. For forward passes that end before it does. One at a time.
class WithoutAdapter {
 public:
  explicit WithoutAdapter(Adapter& adapter) : adapter_(adapter) { adapter_.set_active(false); }
  ~WithoutAdapter() { adapter_.set_active(true); }
  WithoutAdapter(const WithoutAdapter&) = delete;
  WithoutAdapter& operator=(const WithoutAdapter&) = delete;

 private:
  Adapter& adapter_;
};

}  // namespace higgs
