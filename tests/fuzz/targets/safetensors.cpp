#include "higgs/formats/safetensors.h"

#include "../fuzz_target.h"

namespace higgs::fuzz {

void fuzz_safetensors(std::string_view bytes) {
  const auto path = scratch_file("t.safetensors", bytes);
  refused([&] {
    const SafetensorsFile file(path);
    for (const auto& [name, view] : file.tensors()) {
      touch(view.bytes);
      refused([&, &name = name] { keep(file.integers(name)); });
      refused([&, &name = name] { keep(file.floats(name)); });
    }
    keep(file.metadata());
  });
}

}  // namespace higgs::fuzz
