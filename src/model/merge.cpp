#include "higgs/model/merge.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/formats/safetensors_writer.h"
#include "higgs/model/layout.h"
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

MergedTensors::MergedTensors(const CheckpointFiles& base, Layout layout, const AdapterFile& adapter,
                             std::optional<DType> dtype)
    : base_(base), layout_(layout) {
  for (const auto& [name, view] : base.tensors()) {
    const bool converted = dtype && at::isFloatingType(scalar_type_of(view.dtype));
    specs_.push_back({name, converted ? *dtype : view.dtype, view.shape});
  }
  place(adapter);
}

// boson's heads may stand in a checkpoint under several names; a tensor that is changed changes under all.
std::vector<std::string> MergedTensors::spellings(const std::string& name) const {
  std::vector<std::string> names = other_names(layout_, canonical_name(layout_, name));
  names.insert(names.begin(), name);
  return names;
}

void MergedTensors::place(const AdapterFile& adapter) {
  const std::string where = adapter.path().string() + ": '" + kPeftPrefix;
  const std::string advice =
      "' has no place in the base at " + base_.folder().string() + "; the adapter is of another base";
  for (const auto& [module, lora] : adapter.modules()) {
    bool placed = false;
    for (const std::string& name : spellings(module + ".weight")) placed = place_lora(name, lora) || placed;
    if (!placed) throw UserError(where + module + ".lora_A.weight" + advice);
  }
  for (const auto& [name, stored] : adapter.saved()) {
    bool placed = false;
    for (const std::string& spelling : spellings(name)) placed = place_saved(spelling, stored) || placed;
    if (!placed) throw UserError(where + name + advice);
  }
}

// What changes `name`, of `num_rows` rows, goes where the base has a tensor of that name, or over the two
// parts that boson may split it into. `put(place, first, count)` is given the rows of each; true when they
// fit.
template <typename Put>
bool MergedTensors::place_rows(const std::string& name, std::int64_t num_rows, const Put& put) const {
  if (base_.contains(name)) return put(name, 0, num_rows);
  for (const char* kind : {"linear", "embedding"}) {
    const auto parts = split_names(layout_, name, kind);
    if (!parts || !base_.contains(parts->first) || !base_.contains(parts->second)) continue;
    const std::vector<std::int64_t>& shape = base_.tensors().at(parts->first).shape;
    if (shape.size() != 2 || shape[0] > num_rows) continue;
    return put(parts->first, 0, shape[0]) && put(parts->second, shape[0], num_rows - shape[0]);
  }
  return false;
}

bool MergedTensors::place_lora(const std::string& name, const LoraModule& lora) {
  return place_rows(name, lora.b.size(0), [&](const std::string& place, auto first, auto count) {
    if (base_.tensors().at(place).shape != std::vector{count, lora.a.size(1)}) return false;
    LoraModule part = lora;
    part.b = lora.b.narrow(0, first, count);
    if (lora.magnitude.defined()) part.magnitude = lora.magnitude.narrow(0, first, count);
    return merged_.emplace(place, std::move(part)).second;
  });
}

bool MergedTensors::place_saved(const std::string& name, const at::Tensor& stored) {
  const std::int64_t num_rows = stored.dim() > 0 ? stored.size(0) : 0;
  return place_rows(name, num_rows, [&](const std::string& place, auto first, auto count) {
    const at::Tensor part = stored.dim() > 0 ? stored.narrow(0, first, count) : stored;
    return same_shape(base_.tensors().at(place), part) && replaced_.emplace(place, part).second;
  });
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
