#include <algorithm>
#include <memory>
#include <optional>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/formats/pth.h"
#include "layout.h"

namespace higgs::codec {
namespace {

constexpr const char* kHubertFolder = "semantic_model";
const std::string kHubertPrefix = "semantic_model.";

// In the files, but only of use for training the codec.
bool is_unneeded(std::string_view name) {
  return name.starts_with("decoder_semantic.") || name.starts_with("fc_post1.") ||
         name.ends_with("._codebook.cluster_size") || name.ends_with("._codebook.embed_avg") ||
         name == "semantic_model.masked_spec_embed";
}

// HuBERT's own checkpoint, in either form that transformers writes.
struct HubertFile {
  explicit HubertFile(const fs::path& folder) {
    if (fs::exists(folder / "model.safetensors")) {
      safetensors = std::make_unique<SafetensorsFile>(weights_path(folder, "model.safetensors"));
    } else if (fs::exists(folder / "pytorch_model.bin")) {
      pth = std::make_unique<PthFile>(folder / "pytorch_model.bin");
    } else {
      throw UserError((folder.parent_path() / "model.pth").string() + ": holds no " + kHubertPrefix +
                      "* tensors, and " + folder.string() +
                      " no model.safetensors or pytorch_model.bin; run: hf download bosonai/hubert_base "
                      "--local-dir " +
                      folder.string());
    }
  }
  const std::map<std::string, TensorView>& tensors() const {
    return safetensors ? safetensors->tensors() : pth->tensors();
  }
  std::string where() const { return safetensors ? safetensors->path().string() : pth->where(); }

  std::unique_ptr<SafetensorsFile> safetensors;
  std::unique_ptr<PthFile> pth;
};

void add(CodecFiles& files, const std::string& name, const std::string& stored_name, const TensorView& view,
         const std::string& where) {
  const std::string what = where + ": tensor '" + stored_name + "'";
  if (!files.tensors.emplace(name, to_float(view, what)).second) throw UserError(what + " is there twice");
  files.stored_names.emplace(name, stored_name);
}

// The encoder alone, or with the head of a model for recognition around it.
void add_hubert(CodecFiles& files, const HubertFile& hubert) {
  for (const auto& [stored_name, view] : hubert.tensors()) {
    const std::string_view outer = "hubert.";
    const std::string name = stored_name.substr(stored_name.starts_with(outer) ? outer.size() : 0);
    if (name == "masked_spec_embed" || name.starts_with("lm_head.")) continue;
    add(files, kHubertPrefix + name, stored_name, view, hubert.where());
  }
}

// The class is built from the configuration, so tensors of other widths are another model's.
void check_widths(const CodecFiles& files, const std::string& config_path, std::int64_t acoustic_width,
                  std::int64_t codebook_width) {
  const auto check = [&](const char* name, std::int64_t dim, const char* key, std::int64_t wanted) {
    const auto found = files.tensors.find(name);
    if (found == files.tensors.end() || found->second.dim() <= dim) return;  // reported when it is taken
    if (found->second.size(dim) == wanted) return;
    throw UserError(config_path + ": key '" + key + "' is " + std::to_string(wanted) + ", tensor '" +
                    files.stored_names.at(name) + "' of " + files.where + " says " +
                    std::to_string(found->second.size(dim)) + "; is it of this config?");
  };
  check("acoustic_encoder.conv2.bias", 0, "D", acoustic_width);
  check("quantizer.quantizers.0.codebook.embed", 1, "codebook_dim", codebook_width);
}

}  // namespace

CodecFiles load_boson_layout(const fs::path& folder) {
  const fs::path config_path = folder / "config.json";
  const std::string config_bytes = read_file(config_path);
  const Json document = parse_json(config_bytes, config_path.string());
  const BosonConfig config = parse_boson_config(JsonObject(document, config_path.string()));
  CodecFiles files;
  files.config = config.codec;
  files.rule = CodecRule::kBoson;
  Hasher hasher;
  hasher.update(std::string_view("codec, boson layout")).update(config_bytes);
  if (const fs::path path = folder / kHubertFolder / "config.json"; fs::exists(path)) {
    const std::string bytes = read_file(path);
    const Json hubert = parse_json(bytes, path.string());
    files.config.hubert = parse_hubert_config(JsonObject(hubert, path.string()));
    hasher.update(bytes);
  }
  const PthFile file(weights_path(folder, "model.pth"));
  files.where = file.where();
  for (const auto& [name, view] : file.tensors()) {
    if (!is_unneeded(name)) {
      add(files, hf_name_of(name, files.config.encoder_strides.size()), name, view, files.where);
    }
  }
  hash_tensors(hasher, file.tensors());
  const bool has_hubert = std::any_of(files.tensors.begin(), files.tensors.end(), [](const auto& entry) {
    return entry.first.starts_with(kHubertPrefix);
  });
  if (!has_hubert) {
    const HubertFile hubert(folder / kHubertFolder);
    add_hubert(files, hubert);
    hash_tensors(hasher, hubert.tensors());
  }
  check_widths(files, config_path.string(), config.acoustic_width, config.codebook_width);
  files.hash = hasher.hex();
  return files;
}

}  // namespace higgs::codec
