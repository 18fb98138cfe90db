#include "fuzz_target.h"

namespace higgs::fuzz {

const std::map<std::string, Target>& targets() {
  static const std::map<std::string, Target> all = {
      {"adapter", fuzz_adapter},         {"audio", fuzz_audio},
      {"chatml", fuzz_chatml},           {"codes", fuzz_codes},
      {"config", fuzz_config},           {"pth", fuzz_pth},
      {"safetensors", fuzz_safetensors}, {"shards", fuzz_shards},
      {"tokenizer", fuzz_tokenizer},     {"transcripts", fuzz_transcripts}};
  return all;
}

}  // namespace higgs::fuzz
