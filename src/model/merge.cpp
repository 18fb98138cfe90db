#include "higgs/model/merge.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/formats/safetensors_writer.h"
#include "higgs/model/lora_weight.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::string hash_of(std::span<const std::byte> bytes) {
  return Hasher().update(bytes).hex();
}

bool same_shape(const TensorView& view, const at::Tensor& tensor) {
  return at::IntArrayRef(view.shape) == tensor.sizes();
}

}  // namespace

MergedTensors::MergedTensors(const CheckpointFiles& base, const AdapterFile& adapter,
                             std::optional<DType> dtype)
    : base_(base) {
  for (const auto& [name, view] : base.tensors()) {
    const bool converted = dtype && at::isFloatingType(scalar_type_of(view.dtype));
    specs_.push_back({name, converted ? *dtype : view.dtype, view.shape});
  }
  place(adapter);
}

void MergedTensors::place(const AdapterFile& adapter) {
  const std::string where = adapter.path().string() + ": '" + kPeftPrefix;
  const std::string advice =
      "' has no place in the base at " + base_.folder().string() + "; the adapter is of another base";
  for (const auto& [module, lora] : adapter.modules()) {
    const std::string name = module + ".weight";
    const auto found = base_.tensors().find(name);
    if (found == base_.tensors().end() ||
        found->second.shape != std::vector{lora.b.size(0), lora.a.size(1)}) {
      throw UserError(where + module + ".lora_A.weight" + advice);
    }
    merged_.emplace(name, lora);
  }
  for (const auto& [name, stored] : adapter.saved()) place_saved(name, stored, where + name + advice);
}

// A whole tensor goes where the base has one of its name, or over the two parts that boson splits it into.
void MergedTensors::place_saved(const std::string& name, const at::Tensor& stored,
                                const std::string& complaint) {
  const auto whole = base_.tensors().find(name);
  if (whole != base_.tensors().end()) {
    if (!same_shape(whole->second, stored)) throw UserError(complaint);
    replaced_.emplace(name, stored);
    return;
  }
  const std::string module = name.substr(0, name.rfind('.'));
  for (const char* kind : {".linear_", ".embedding_"}) {
    const std::string frozen = module + kind + "frozen.weight",
                      trainable = module + kind + "trainable.weight";
    if (!base_.contains(frozen) || !base_.contains(trainable)) continue;
    const std::int64_t rows = base_.tensors().at(frozen).shape.at(0);
    if (stored.dim() != 2 || stored.size(0) < rows) throw UserError(complaint);
    replaced_.emplace(frozen, stored.narrow(0, 0, rows));
    replaced_.emplace(trainable, stored.narrow(0, rows, stored.size(0) - rows));
    for (const std::string& part : {frozen, trainable}) {
      if (!same_shape(base_.tensors().at(part), replaced_.at(part))) throw UserError(complaint);
    }
    return;
  }
  throw UserError(complaint);
}

bool MergedTensors::is_untouched(const std::string& name) const {
  return merged_.count(name) == 0 && replaced_.count(name) == 0;
}

at::Tensor MergedTensors::tensor(const TensorSpec& spec) const {
  const at::ScalarType dtype = scalar_type_of(spec.dtype);
  if (const auto found = replaced_.find(spec.name); found != replaced_.end()) {
    return found->second.to(dtype).contiguous();
  }
  const at::Tensor weight = view_of(base_.tensors().at(spec.name), base_.file_of(spec.name));
  const auto found = merged_.find(spec.name);
  if (found == merged_.end()) return weight.to(dtype).contiguous();
  const LoraModule& lora = found->second;
  return merged_weight(weight, lora.a, lora.b, lora.scaling, lora.magnitude).to(dtype);
}

std::map<std::string, std::string> write_merged(const MergedTensors& merged, const std::vector<Shard>& shards,
                                                const fs::path& folder, bool (*should_stop)()) {
  std::map<std::string, std::string> hashes;
  log::Progress progress("writing tensors");
  for (const Shard& shard : shards) {
    SafetensorsWriter writer(folder / shard.file, shard.specs, {{"format", "pt"}});
    for (const TensorSpec& spec : writer.specs()) {
      if (should_stop()) throw RunError("stopped; nothing was written");
      const at::Tensor tensor = merged.tensor(spec);
      writer.write(bytes_of(tensor));
      hashes[spec.name] = hash_of(bytes_of(tensor));
      progress(hashes.size(), merged.specs().size());
    }
    writer.finish();
  }
  if (shards.size() > 1)
    write_file_atomically(folder / "model.safetensors.index.json", shard_index_json(shards));
  return hashes;
}

std::size_t check_written(const MergedTensors& merged, const std::map<std::string, std::string>& hashes,
                          const fs::path& folder) {
  const CheckpointFiles written(folder);
  std::size_t untouched = 0;
  for (const TensorSpec& spec : merged.specs()) {
    const std::string where = folder.string() + ": tensor '" + spec.name + "' ";
    const auto found = written.tensors().find(spec.name);
    if (found == written.tensors().end()) throw RunError(where + "is missing after writing");
    const TensorView& view = found->second;
    if (view.dtype != spec.dtype || view.shape != spec.shape) {
      throw RunError(where + "has another type or shape than it was written with");
    }
    if (hash_of(view.bytes) != hashes.at(spec.name))
      throw RunError(where + "has other bytes than were written");
    if (!merged.is_untouched(spec.name)) continue;
    const at::Tensor base = merged.tensor(spec);
    if (view.bytes.size() != base.nbytes() ||
        (base.nbytes() > 0 && std::memcmp(view.bytes.data(), base.const_data_ptr(), base.nbytes()) != 0)) {
      throw RunError(where + "should be the base's and isn't");
    }
    ++untouched;
  }
  if (written.tensors().size() != merged.specs().size()) {
    throw RunError(folder.string() + ": holds tensors that were not written");
  }
  return untouched;
}

}  // namespace higgs
