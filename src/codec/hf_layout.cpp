#include "higgs/base/json.h"
#include "layout.h"

namespace higgs::codec {
namespace {

// In the files, but only of use for training the codec.
bool is_unneeded(std::string_view name) {
  return name.starts_with("decoder_semantic.") || name.starts_with("fc1.") ||
         name.ends_with(".codebook.cluster_size") || name.ends_with(".codebook.embed_avg") ||
         name == "semantic_model.masked_spec_embed";
}

}  // namespace

CodecFiles load_hf_layout(const fs::path& folder) {
  const fs::path config_path = folder / "config.json";
  const std::string config_bytes = read_file(config_path);
  const Json document = parse_json(config_bytes, config_path.string());
  CodecFiles files;
  files.config = parse_hf_config(JsonObject(document, config_path.string()));
  const SafetensorsFile file(weights_path(folder, "model.safetensors"));
  files.where = file.path().string();
  for (const auto& [name, view] : file.tensors()) {
    if (is_unneeded(name)) continue;
    files.tensors.emplace(name, to_float(view, files.where + ": tensor '" + name + "'"));
  }
  Hasher hasher;
  hasher.update(std::string_view("codec, HF layout")).update(config_bytes);
  hash_tensors(hasher, file.tensors());
  files.hash = hasher.hex();
  return files;
}

}  // namespace higgs::codec
