// A base in boson's layout that hears clips: the language model of goldens hf/model under boson's names, with
// its tokenizer, and the audio tower of goldens boson/model/tower behind a projector of noise.
#pragma once

#include <ATen/ops/cat.h>

#include "higgs/model/layout.h"
#include "higgs/text/tokenizer.h"
#include "support/base_copy.h"

namespace higgs::test {

inline Json tower_base_config() {
  Json config = read_json_file(golden("boson/model/tower") / "config.json");
  const Json hf = read_json_file(golden("hf/model") / "config.json");
  Json text = hf;
  for (const char* key : {"rope_parameters", "model_type", "architectures"}) text.erase(key);
  text["rope_theta"] = hf["rope_parameters"]["rope_theta"];
  text["rope_scaling"] = hf["rope_parameters"];
  text["rope_scaling"].erase("rope_theta");
  config["text_config"] = text;
  config["audio_dual_ffn_layers"] = {0, 1};
  config["audio_codebook_size"] = 1024;
  config["audio_stream_bos_id"] = 1024;
  config["audio_stream_eos_id"] = 1025;
  config["pad_token_id"] = hf["pad_token_id"];
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  config["audio_in_token_idx"] = tokenizer->id_of("<|AUDIO|>");
  config["audio_out_token_idx"] = tokenizer->id_of("<|AUDIO_OUT|>");
  return config;
}

inline void write_tower_base(const fs::path& folder, const Json& config) {
  fs::create_directories(folder);
  BaseCopy language("hf/model"), tower("boson/model/tower");
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : language.tensors) {
    std::string canonical = name.starts_with("model.") ? name.substr(6) : name;
    if (canonical == "embed_audio_tokens.embed_audio_tokens.weight") canonical = "audio_embed.weight";
    tensors[stored_name(Layout::kBoson, canonical)] = tensor;
  }
  for (const auto& [name, tensor] : tower.tensors) {
    if (name.starts_with("audio_tower.") || name.starts_with("audio_encoder_proj.")) tensors[name] = tensor;
  }
  // 32 wide there, 64 here.
  for (const char* name : {"audio_encoder_proj.linear.weight", "audio_encoder_proj.linear.bias"}) {
    tensors[name] = at::cat({tensors[name], tensors[name].neg()});
  }
  store(folder / "model.safetensors", tensors);
  write_text(folder / "config.json", config.dump());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(golden("hf/model") / name, folder / name);
  }
}

}  // namespace higgs::test
