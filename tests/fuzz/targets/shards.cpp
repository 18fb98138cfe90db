// A shard index beside one good shard.
#include "../fuzz_target.h"
#include "higgs/formats/checkpoint_files.h"

namespace higgs::fuzz {

void fuzz_shards(std::string_view bytes) {
  static const float values[2] = {1.0F, 2.0F};
  static const std::string shard =
      safetensors_bytes({{"norm.weight", DType::kF32, {2}, std::as_bytes(std::span(values))}}, {});
  scratch_file("model-00001-of-00001.safetensors", shard);
  scratch_file("model.safetensors.index.json", bytes);
  refused([&] {
    const CheckpointFiles files(scratch_folder());
    for (const auto& [name, view] : files.tensors()) touch(view.bytes);
  });
}

}  // namespace higgs::fuzz
