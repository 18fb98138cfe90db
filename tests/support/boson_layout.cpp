#include "support/boson_layout.h"

#include <map>
#include <vector>

#include "higgs/formats/safetensors.h"

namespace higgs::test {
namespace {

std::string boson_name(const std::string& hf) {
  static const std::map<std::string, std::string> names = {
      {"model.embed_tokens.weight", "embed_tokens.weight"},
      {"model.embed_audio_tokens.embed_audio_tokens.weight", "audio_codebook_embeddings.weight"},
      {"model.norm.weight", "norm.weight"},
      {"text_lm_head.weight", "audio_decoder_proj.text_lm_head.weight"},
      {"audio_lm_head.weight", "audio_decoder_proj.audio_lm_head.weight"}};
  const auto found = names.find(hf);
  return found != names.end() ? found->second : hf.substr(std::string("model.").size());  // layers.*
}

std::string boson_key(const std::string& hf) {
  return "base_model.model." + hf.substr(std::string("base_model.model.model.").size());
}

void write_renamed(const fs::path& from, const fs::path& to, std::string (*renamed)(const std::string&)) {
  const SafetensorsFile file(from);
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, view] : file.tensors()) {
    tensors.push_back({renamed(name), view.dtype, view.shape, view.bytes});
  }
  write_safetensors(to, tensors, file.metadata());
}

}  // namespace

void write_boson_base(const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy_file(golden("e2e/base_boson/config.json"), folder / "config.json");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(golden("hf/model") / name, folder / name);
  }
  write_renamed(golden("hf/model/model.safetensors"), folder / "model.safetensors", boson_name);
}

void write_boson_adapter(const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy_file(golden("e2e/adapter_hf/adapter_config.json"), folder / "adapter_config.json");
  write_renamed(golden("e2e/adapter_hf/adapter_model.safetensors"), folder / "adapter_model.safetensors",
                boson_key);
}

}  // namespace higgs::test
