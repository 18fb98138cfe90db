#include "higgs/model/adapter.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"
#include "higgs/model/layout.h"
#include "higgs/model/lora_linear.h"
#include "higgs/model/lora_weight.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

// The ending of a module path that names its kind: "layers.0.mlp.up_proj" -> "mlp.up_proj". PEFT matches
// targets by endings after a dot, and "mlp.up_proj" doesn't match "audio_mlp.up_proj".
std::string kind_of(const std::string& path) {
  const auto last = path.rfind('.');
  return path.substr(path.rfind('.', last - 1) + 1);
}

// The kinds as PEFT's other form of target_modules, one regular expression of the whole name: an audio tower
// has layers with modules of the same endings, which have no adapter.
std::string regex_of(const std::set<std::string>& kinds) {
  std::string alternatives;
  for (const std::string& kind : kinds) {
    if (!alternatives.empty()) alternatives += "|";
    for (const char c : kind) alternatives += c == '.' ? std::string("\\.") : std::string(1, c);
  }
  return "layers\\.[0-9]+\\.(" + alternatives + ")";
}

// The group as a regular expression of PEFT's rank_pattern, which matches whole endings after a dot.
std::string pattern_of(const std::string& group) {
  const auto dot = group.find('.');
  return dot == std::string::npos ? group + "\\.[a-z]+_proj"
                                  : group.substr(0, dot) + "\\." + group.substr(dot + 1);
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

// A name in the adapter that the model has nothing for.
[[noreturn]] void refuse_foreign(const AdapterFile& file, const std::string& name, const HiggsModel& model) {
  const Layout layout = model.config().layout;
  const Layout other = layout == Layout::kHf ? Layout::kBoson : Layout::kHf;
  const std::string what = file.path().string() + ": '" + kPeftPrefix + name + "' ";
  const bool in_layers = name.rfind("layers.", 0) == 0;
  const bool of_other = layout == Layout::kHf ? in_layers || name.rfind("audio_decoder_proj.", 0) == 0
                                              : name.rfind("model.", 0) == 0;
  if (of_other) {
    throw UserError(what + "is a name of the " + name_of(other) + " layout, and the base at " +
                    model.folder().string() + " is in the " + name_of(layout) +
                    " layout; give the base that the adapter was trained on");
  }
  throw UserError(what + "has no place in the base at " + model.folder().string() +
                  "; the adapter is of another base, or of modules that are not supported");
}

// PEFT's name of the module with this weight: "model.layers.0.self_attn.q_proj" in the HF layout.
std::string module_of(const std::string& weight, Layout layout) {
  const std::string name = stored_name(layout, weight);
  return name.substr(0, name.rfind('.'));
}
std::string module_of(const LoraLinear& linear, Layout layout) {
  return module_of(linear.path() + ".weight", layout);
}

std::string name_of_base(const HiggsModel& model, const LoraOptions& options) {
  return options.base_name.empty() ? fs::absolute(model.folder()).lexically_normal().string()
                                   : options.base_name;
}

std::vector<std::shared_ptr<LoraLinear>> linears_and_heads(const HiggsModel& model) {
  std::vector<std::shared_ptr<LoraLinear>> all = model.linears();
  for (auto& head : model.heads()) all.push_back(std::move(head));
  return all;
}

}  // namespace

std::string Adapter::key_of(const LoraLinear& linear, const char* ending) const {
  return kPeftPrefix + module_of(linear, model_.config().layout) + ending;
}

void Adapter::build() {
  std::int64_t total = 0;
  for (const Slot& slot : slots_) {
    total += slot.rank * (slot.linear->in_features() + slot.linear->out_features());
    if (config_.use_dora) total += slot.linear->out_features();
  }
  for (const Whole& one : whole_) total += one.first.numel();
  const auto options = at::TensorOptions(at::kFloat).device(model_.device());
  values_ = at::zeros({total}, options);
  grads_ = at::zeros({total}, options);
  tensors_.clear();

  std::int64_t offset = 0;
  const auto window = [&](const std::string& key, const std::string& module, at::IntArrayRef shape) {
    const std::int64_t size = c10::multiply_integers(shape);
    AdapterTensor tensor{key, module, values_.narrow(0, offset, size).view(shape).detach(),
                         grads_.narrow(0, offset, size).view(shape)};
    tensor.value.set_requires_grad(true);
    tensor.value.mutable_grad() = tensor.grad;
    offset += size;
    tensors_.push_back(tensor);
    return tensor.value;
  };
  for (const Slot& slot : slots_) {
    LoraLinear& linear = *slot.linear;
    const auto of_linear = [&](const char* ending, at::IntArrayRef shape) {
      return window(key_of(linear, ending), linear.path(), shape);
    };
    const at::Tensor a = of_linear(".lora_A.weight", {slot.rank, linear.in_features()});
    const at::Tensor b = of_linear(".lora_B.weight", {linear.out_features(), slot.rank});
    at::Tensor magnitude;  // PEFT's name of it has no ".weight"
    if (config_.use_dora) magnitude = of_linear(".lora_magnitude_vector", {linear.out_features()});
    linear.attach(a, b, slot.scaling, magnitude);
  }
  const at::NoGradGuard no_grad;
  for (Whole& one : whole_) {
    const std::string key = kPeftPrefix + stored_name(model_.config().layout, one.module->weight);
    at::Tensor values = window(key, one.module->name, one.first.sizes());
    values.copy_(one.first);
    one.first.reset();
    model_.train_weight(one.module->weight, std::move(values));
  }
}

// As the base has them; UserError when it hasn't.
void Adapter::take_whole(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto module =
        std::ranges::find_if(kWholeModules, [&](const WholeModule& one) { return name == one.name; });
    HIGGS_ASSERT(module != kWholeModules.end());
    const at::Tensor weight = model_.weight(module->weight);
    const Layout layout = model_.config().layout;
    if (!weight.defined()) {
      throw UserError("--modules_to_save " + name + ": the base at " + model_.folder().string() + " has no " +
                      stored_name(layout, module->weight));
    }
    whole_.push_back({&*module, weight});
    config_.modules_to_save.push_back(module_of(module->weight, layout));
  }
}

Adapter::Adapter(HiggsModel& model, const LoraOptions& options) : model_(model) {
  config_.base_model_name_or_path = name_of_base(model, options);
  config_.r = options.r;
  config_.lora_alpha = options.alpha;
  config_.lora_dropout = options.dropout;
  config_.use_rslora = options.use_rslora;
  config_.use_dora = options.use_dora;
  std::set<std::string> kinds;
  // Of PEFT's patterns the first that matches counts: maps by name stand before their groups.
  for (const bool by_name : {true, false}) {
    for (const GroupValue& group : options.ranks) {
      if (group.value > 0.0 && (group.group.find('.') != std::string::npos) == by_name)
        config_.rank_pattern.emplace_back(pattern_of(group.group), static_cast<std::int64_t>(group.value));
    }
  }
  for (const auto& linear : model.linears()) {
    const std::int64_t rank = static_cast<std::int64_t>(
        value_of_module(options.ranks, linear->path()).value_or(static_cast<double>(options.r)));
    if (rank == 0) continue;
    slots_.push_back({linear.get(), rank, config_.scaling(linear->path(), rank)});
    kinds.insert(kind_of(linear->path()));
  }
  if (slots_.empty() && options.modules_to_save.empty()) {
    throw UserError("--rank_pattern leaves no linear map, --modules_to_save names no module: nothing learns");
  }
  take_whole(options.modules_to_save);
  if (slots_.empty()) {
    config_.target_regex = kNoTargetModules;
  } else if (model.config().audio_tower) {
    config_.target_regex = regex_of(kinds);
  } else {
    config_.target_modules.assign(kinds.begin(), kinds.end());
  }
  build();
  const at::NoGradGuard no_grad;
  std::uint64_t index = 0;
  for (const Slot& slot : slots_) {
    const LoraLinear& linear = *slot.linear;
    at::Tensor a = linear.a();
    fill_uniform(a, 1.0 / std::sqrt(static_cast<double>(a.size(1))), mix_key(options.seed, index));
    index += 2;
    if (config_.use_dora) linear.magnitude().copy_(dora_norm(linear.weight(), a, linear.b(), slot.scaling));
  }
}

Adapter::Adapter(HiggsModel& model, const fs::path& folder) : model_(model) {
  const AdapterFile file(folder);
  config_ = file.config();
  std::set<std::string> known;
  for (const auto& linear : linears_and_heads(model)) {
    const auto found = file.modules().find(module_of(*linear, model.config().layout));
    if (found == file.modules().end()) continue;
    const LoraModule& lora = found->second;
    if (lora.a.size(1) != linear->in_features() || lora.b.size(0) != linear->out_features()) {
      throw UserError(file.path().string() + ": '" + key_of(*linear, ".lora_A.weight") +
                      "' and its lora_B do not fit this base (" + std::to_string(linear->in_features()) +
                      " -> " + std::to_string(linear->out_features()) + "); the adapter is of another base");
    }
    slots_.push_back({linear.get(), lora.a.size(0), lora.scaling});
    known.insert(found->first);
  }
  for (const auto& [module, lora] : file.modules()) {
    if (known.count(module) == 0) refuse_foreign(file, module + ".lora_A.weight", model);
  }
  replace(file);
  build();
  load_values(file.path());
}

void Adapter::continue_with(const LoraOptions& options) {
  for (const AdapterTensor& tensor : tensors_) {
    if (tensor.key.find(".layers.") == std::string::npos)
      throw UserError("'" + tensor.key +
                      "' adapts a head, which is not trained; start from an adapter without it");
  }
  config_.lora_dropout = options.dropout;
  config_.base_model_name_or_path = name_of_base(model_, options);
  train_saved_modules();
}

void Adapter::train_saved_modules() {
  HIGGS_ASSERT(whole_.empty());
  for (const WholeModule& module : kWholeModules) {
    const auto found = std::ranges::find_if(replaced_, [&](const Replaced& one) {
      return canonical_name(model_.config().layout, one.name) == module.weight;
    });
    if (found == replaced_.end()) continue;
    found->weight.set_data(found->before);
    whole_.push_back({&module, found->stored});
    replaced_.erase(found);
  }
  if (whole_.empty()) return;
  const at::NoGradGuard no_grad;
  const at::Tensor low_rank = values_;
  build();
  values_.narrow(0, 0, low_rank.numel()).copy_(low_rank);
}

// Looks all weights up before the first is replaced: an error leaves the model as it was.
void Adapter::replace(const AdapterFile& file) {
  for (const auto& [name, stored] : file.saved()) {
    const at::Tensor weight = model_.weight(canonical_name(model_.config().layout, name));
    if (!weight.defined()) {
      const bool quantized =
          std::ranges::any_of(model_.linears(), [](const auto& linear) { return linear->is_quantized(); });
      if (quantized && name.find("layers.") != std::string::npos) {
        throw UserError(file.path().string() + ": '" + kPeftPrefix + name +
                        "' replaces a weight that --base_dtype nf4 keeps in four bits; leave that out");
      }
      refuse_foreign(file, name, model_);
    }
    if (weight.sizes() != stored.sizes()) {
      throw UserError(file.path().string() + ": '" + kPeftPrefix + name +
                      "' has another shape than the base's; " + "the adapter is of another base");
    }
    replaced_.push_back({name, stored, weight, {}});
  }
  for (Replaced& one : replaced_) {
    one.before = one.weight.detach();
    one.weight.set_data(one.stored.to(one.before.options()));
  }
}

std::vector<std::string> Adapter::trained_modules() const {
  std::vector<std::string> names;
  for (const Whole& one : whole_) names.emplace_back(one.module->name);
  return names;
}

std::vector<std::string> Adapter::saved_tensors() const {
  std::vector<std::string> names;
  for (const Replaced& one : replaced_) names.push_back(one.name);
  return names;
}

std::size_t Adapter::num_modules() const {
  return static_cast<std::size_t>(std::count_if(tensors_.begin(), tensors_.end(), [](const auto& tensor) {
    return tensor.key.ends_with(".lora_A.weight");
  }));
}

Adapter::~Adapter() {
  for (const auto& linear : linears_and_heads(model_)) linear->detach_adapter();
  for (Replaced& one : replaced_) one.weight.set_data(one.before);
  for (const Whole& one : whole_) model_.train_weight(one.module->weight, {});
}

void Adapter::set_active(bool active) {
  for (const auto& linear : linears_and_heads(model_)) linear->set_adapter_active(active);
  for (Replaced& one : replaced_) {
    const at::Tensor now = one.weight.detach();
    one.weight.set_data(one.before);
    one.before = now;
  }
  for (const Whole& one : whole_) {
    const auto own =
        std::ranges::find_if(tensors_, [&](const AdapterTensor& t) { return t.module == one.module->name; });
    model_.train_weight(one.module->weight, active ? own->value : at::Tensor());
  }
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
    if (!at::isFloatingType(scalar_type_of(view.dtype))) {
      throw UserError(path.string() + ": '" + tensor.key + "' must hold floating point numbers");
    }
    tensor.value.copy_(view_of(view, file));
  }
}

void Adapter::save(const fs::path& folder) const {
  save(folder, values_.detach().to(at::kCPU));
}

void Adapter::save(const fs::path& folder, const at::Tensor& values) const {
  HIGGS_ASSERT(values.is_cpu() && values.sizes() == values_.sizes() && values.scalar_type() == at::kFloat);
  std::vector<TensorToWrite> out;
  std::vector<at::Tensor> host;
  const auto* next = static_cast<const std::byte*>(values.const_data_ptr());
  for (const AdapterTensor& tensor : tensors_) {  // as they lie in the flat buffer
    out.push_back({tensor.key, DType::kF32, tensor.value.sizes().vec(), {next, tensor.value.nbytes()}});
    next += tensor.value.nbytes();
  }
  for (const Replaced& one : replaced_) {
    host.push_back(one.stored.contiguous());
    const auto* data = static_cast<const std::byte*>(host.back().const_data_ptr());
    out.push_back({kPeftPrefix + one.name,
                   dtype_of(one.stored.scalar_type()),
                   one.stored.sizes().vec(),
                   {data, host.back().nbytes()}});
  }
  write_safetensors(folder / "adapter_model.safetensors", std::move(out), {{"format", "pt"}});
  write_file_atomically(folder / "adapter_config.json", peft_config_json(config_));
}

}  // namespace higgs
