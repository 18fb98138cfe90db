// config.json of a base in either layout, and of a codec in either layout.
#include "codec/config.h"
#include "../fuzz_target.h"
#include "higgs/model/config.h"

namespace higgs::fuzz {

void fuzz_config(std::string_view bytes) {
  const auto path = scratch_file("config.json", bytes);
  refused([&] { keep(read_model_config(scratch_folder())); });
  refused([&] {
    const Json document = read_json_file(path);
    const JsonObject fields(document, "config.json");
    refused([&] { keep(codec::parse_hf_config(fields).semantic_step()); });
    refused([&] { keep(codec::parse_boson_config(fields).codec.semantic_step()); });
    refused([&] { keep(codec::parse_hubert_config(fields)); });
  });
}

}  // namespace higgs::fuzz
