#include "hf_layout.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/formats/safetensors.h"

namespace higgs::codec {
namespace {

constexpr const char* kModelType = "higgs_audio_v2_tokenizer";

// In the files, but only of use for training the codec.
bool is_unneeded(std::string_view name) {
  return name.starts_with("decoder_semantic.") || name.starts_with("fc1.") ||
         name.ends_with(".codebook.cluster_size") || name.ends_with(".codebook.embed_avg") ||
         name == "semantic_model.masked_spec_embed";
}

at::ScalarType scalar_type(const TensorView& view, const std::string& where) {
  switch (view.dtype) {
    case DType::kF32:
      return at::kFloat;
    case DType::kF16:
      return at::kHalf;
    case DType::kBF16:
      return at::kBFloat16;
    case DType::kF64:
      return at::kDouble;
    case DType::kBool:
      return at::kBool;
    default:
      throw UserError(where + " has the type " + std::string(name_of(view.dtype)) +
                      ", floating point is expected");
  }
}

at::Tensor to_float(const TensorView& view, const std::string& where) {
  const at::Tensor stored = at::empty(view.shape, scalar_type(view, where));
  // Copied as bytes, since a mapped tensor need not be aligned.
  if (!view.bytes.empty()) std::memcpy(stored.data_ptr(), view.bytes.data(), view.bytes.size());
  return stored.to(at::kFloat);
}

std::string hash_of(const std::string& config_bytes, const SafetensorsFile& file) {
  Hasher hasher;
  hasher.update(std::string_view("codec, HF layout")).update(config_bytes);
  for (const auto& [name, view] : file.tensors()) {
    hasher.update(name).update(name_of(view.dtype)).update(static_cast<std::uint64_t>(view.shape.size()));
    for (const std::int64_t size : view.shape) hasher.update(static_cast<std::uint64_t>(size));
    hasher.update(view.bytes);
  }
  return hasher.hex();
}

}  // namespace

CodecFiles load_hf_layout(const fs::path& folder) {
  const fs::path config_path = folder / "config.json";
  const std::string config_bytes = read_file(config_path);
  const Json document = parse_json(config_bytes, config_path.string());
  const JsonObject json(document, config_path.string());
  const std::string type = json.string("model_type", "");
  if (type != kModelType) {
    throw UserError(config_path.string() + ": model_type is '" + type + "', an audio tokenizer has '" +
                    kModelType + "'; give the codec's folder");
  }
  CodecFiles files;
  files.config = parse_hf_config(json);
  const SafetensorsFile file(folder / "model.safetensors");
  files.where = file.path().string();
  for (const auto& [name, view] : file.tensors()) {
    if (is_unneeded(name)) continue;
    files.tensors.emplace(name, to_float(view, files.where + ": tensor '" + name + "'"));
  }
  files.hash = hash_of(config_bytes, file);
  return files;
}

}  // namespace higgs::codec
