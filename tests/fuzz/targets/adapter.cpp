// adapter_config.json, and behind a 0x1e adapter_model.safetensors.
#include "../fuzz_target.h"
#include "higgs/model/adapter_file.h"

namespace higgs::fuzz {

void fuzz_adapter(std::string_view bytes) {
  const auto [config, weights] = cut(bytes);
  scratch_file("adapter_config.json", config);
  scratch_file("adapter_model.safetensors", weights);
  refused([&] { keep(peft_config_json(read_peft_config(scratch_folder()))); });
  refused([&] {
    const AdapterFile adapter(scratch_folder());
    for (const auto& [name, lora] : adapter.modules()) {
      require(lora.a.size(0) == lora.b.size(1), "a pair that doesn't fit", name);
    }
  });
}

}  // namespace higgs::fuzz
