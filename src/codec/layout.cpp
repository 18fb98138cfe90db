#include "layout.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/lfs.h"
#include "higgs/formats/hub.h"

namespace higgs::codec {
namespace {

constexpr const char* kHfModelType = "higgs_audio_v2_tokenizer";

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

}  // namespace

fs::path weights_path(const fs::path& folder, const std::string& name) {
  const fs::path path = folder / name;
  if (!fs::exists(path)) throw UserError(path.string() + ": is missing; " + download_advice(folder));
  refuse_lfs_pointer(path);
  return path;
}

at::Tensor to_float(const TensorView& view, const std::string& where) {
  const at::Tensor stored = at::empty(view.shape, scalar_type(view, where));
  // Copied as bytes, since a mapped tensor need not be aligned.
  if (!view.bytes.empty()) std::memcpy(stored.data_ptr(), view.bytes.data(), view.bytes.size());
  return stored.to(at::kFloat);
}

void hash_tensors(Hasher& hasher, const std::map<std::string, TensorView>& tensors) {
  for (const auto& [name, view] : tensors) {
    hasher.update(name).update(name_of(view.dtype)).update(static_cast<std::uint64_t>(view.shape.size()));
    for (const std::int64_t size : view.shape) hasher.update(static_cast<std::uint64_t>(size));
    hasher.update(view.bytes);
  }
}

CodecFiles load_codec_folder(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json document = read_json_file(path);
  const JsonObject json(document, path.string());
  const std::string type = json.string("model_type", "");
  if (type == kHfModelType) return load_hf_layout(folder);
  // boson_multimodal's configuration names no model type.
  if (type.empty() && (fs::exists(folder / "model.pth") || json.has("ratios"))) {
    return load_boson_layout(folder);
  }
  throw UserError(path.string() + ": model_type is '" + type + "', an audio tokenizer has '" + kHfModelType +
                  "', or a model.pth beside it; give the codec's folder");
}

}  // namespace higgs::codec
