#include "higgs/model/adapter.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <map>
#include <set>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"
#include "higgs/model/layout.h"
#include "higgs/model/lora_linear.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

// The ending of a module path that names its kind: "layers.0.mlp.up_proj" -> "mlp.up_proj". PEFT matches
// targets by endings after a dot, and "mlp.up_proj" doesn't match "audio_mlp.up_proj".
std::string kind_of(const std::string& path) {
  const auto last = path.rfind('.');
  return path.substr(path.rfind('.', last - 1) + 1);
}

// Uniform in [-bound, bound) from a counter-based generator: the same on every machine and device.
void fill_uniform(at::Tensor& tensor, double bound, std::uint64_t key) {
  at::Tensor host = at::empty(tensor.sizes(), at::kFloat);
  float* data = host.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const Philox4 words =
        philox4x32({{static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}}, key);
    data[i] = static_cast<float>((static_cast<double>(words.word[0]) / 4294967296.0 * 2.0 - 1.0) * bound);
  }
  tensor.copy_(host);
}

}  // namespace

std::string Adapter::key_of(const LoraLinear& linear, const char* which) const {
  return adapter_prefix(model_.config().layout) + linear.path() + "." + which + ".weight";
}

void Adapter::build(const std::vector<Slot>& slots) {
  std::int64_t total = 0;
  for (const Slot& slot : slots)
    total += slot.rank * (slot.linear->in_features() + slot.linear->out_features());
  const auto options = at::TensorOptions(at::kFloat).device(model_.device());
  values_ = at::zeros({total}, options);
  grads_ = at::zeros({total}, options);

  std::int64_t offset = 0;
  const auto window = [&](const std::string& key, std::int64_t rows, std::int64_t cols) {
    AdapterTensor tensor{key, values_.narrow(0, offset, rows * cols).view({rows, cols}).detach(),
                         grads_.narrow(0, offset, rows * cols).view({rows, cols})};
    tensor.value.set_requires_grad(true);
    tensor.value.mutable_grad() = tensor.grad;
    offset += rows * cols;
    tensors_.push_back(tensor);
    return tensor.value;
  };
  for (const Slot& slot : slots) {
    LoraLinear& linear = *slot.linear;
    const at::Tensor a = window(key_of(linear, "lora_A"), slot.rank, linear.in_features());
    const at::Tensor b = window(key_of(linear, "lora_B"), linear.out_features(), slot.rank);
    linear.attach(a, b, slot.scaling);
  }
}

Adapter::Adapter(HiggsModel& model, const LoraOptions& options) : model_(model) {
  config_.base_model_name_or_path = options.base_name.empty()
                                        ? fs::absolute(model.folder()).lexically_normal().string()
                                        : options.base_name;
  config_.r = options.r;
  config_.lora_alpha = options.alpha;
  config_.lora_dropout = options.dropout;
  std::vector<Slot> slots;
  std::set<std::string> kinds;
  for (const auto& linear : model.linears()) {
    slots.push_back({linear.get(), options.r, config_.scaling(linear->path(), options.r)});
    kinds.insert(kind_of(linear->path()));
  }
  config_.target_modules.assign(kinds.begin(), kinds.end());
  build(slots);
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors_.size(); i += 2) {
    at::Tensor a = tensors_[i].value;
    fill_uniform(a, 1.0 / std::sqrt(static_cast<double>(a.size(1))), mix_key(options.seed, i));
  }
}

Adapter::Adapter(HiggsModel& model, const fs::path& folder)
    : model_(model), config_(read_peft_config(folder)) {
  const fs::path path = folder / "adapter_model.safetensors";
  const SafetensorsFile file(path);
  std::vector<Slot> slots;
  std::set<std::string> known;
  for (const auto& linear : model.linears()) {
    const std::string key_a = key_of(*linear, "lora_A"), key_b = key_of(*linear, "lora_B");
    if (!file.contains(key_a) && !file.contains(key_b)) continue;
    const TensorView &a = file.at(key_a), &b = file.at(key_b);
    const std::int64_t rank = a.shape.empty() ? 0 : a.shape[0];
    if (a.shape != std::vector<std::int64_t>{rank, linear->in_features()} ||
        b.shape != std::vector<std::int64_t>{linear->out_features(), rank} || rank == 0) {
      throw UserError(path.string() + ": '" + key_a + "' and its lora_B do not fit this base (" +
                      std::to_string(linear->in_features()) + " -> " +
                      std::to_string(linear->out_features()) + "); the adapter is of another base");
    }
    const std::string module_path = key_a.substr(std::string("base_model.model.").size());
    slots.push_back(
        {linear.get(), rank, config_.scaling(module_path.substr(0, module_path.rfind(".lora_A")), rank)});
    known.insert({key_a, key_b});
  }
  for (const auto& [name, view] : file.tensors()) {
    if (known.count(name) == 0) {
      throw UserError(path.string() + ": '" + name + "' has no place in the base at " +
                      model.folder().string() + "; the adapter is of another base or layout");
    }
  }
  if (slots.empty()) throw UserError(path.string() + ": holds no LoRA tensors");
  build(slots);
  load_values(path);
}

Adapter::~Adapter() {
  for (const auto& linear : model_.linears()) linear->detach_adapter();
}

void Adapter::load_values(const fs::path& path) {
  const at::NoGradGuard no_grad;
  const auto file = std::make_shared<const SafetensorsFile>(path);
  for (AdapterTensor& tensor : tensors_) {
    const TensorView& view = file->at(tensor.key);
    if (at::IntArrayRef(view.shape) != tensor.value.sizes()) {
      throw UserError(path.string() + ": '" + tensor.key +
                      "' has another shape than the adapter being trained");
    }
    tensor.value.copy_(view_of(view, file));
  }
}

void Adapter::save(const fs::path& folder) const {
  std::vector<TensorToWrite> out;
  std::vector<at::Tensor> host;
  for (const AdapterTensor& tensor : tensors_) {
    host.push_back(tensor.value.detach().to(at::kCPU).contiguous());
    const auto* data = static_cast<const std::byte*>(host.back().const_data_ptr());
    out.push_back({tensor.key, DType::kF32, tensor.value.sizes().vec(), {data, host.back().nbytes()}});
  }
  write_safetensors(folder / "adapter_model.safetensors", std::move(out), {{"format", "pt"}});
  write_file_atomically(folder / "adapter_config.json", peft_config_json(config_));
}

}  // namespace higgs
