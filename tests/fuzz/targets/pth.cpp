#include "higgs/formats/pth.h"

#include "../fuzz_target.h"

namespace higgs::fuzz {

void fuzz_pth(std::string_view bytes) {
  refused([&] {
    const PthFile file(std::as_bytes(std::span(bytes)), "f.pth");
    for (const auto& [name, view] : file.tensors()) {
      require(view.bytes.size() == static_cast<std::size_t>(view.numel()) * size_of(view.dtype),
              "a tensor of another size than its shape", name);
      touch(view.bytes);
    }
  });
}

}  // namespace higgs::fuzz
