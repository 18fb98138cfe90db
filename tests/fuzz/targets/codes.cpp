// A file of the code cache, or one that a manifest names instead of a recording.
#include "higgs/codec/codes.h"

#include "../fuzz_target.h"

namespace higgs::fuzz {

void fuzz_codes(std::string_view bytes) {
  const auto path = scratch_file("c.safetensors", bytes);
  refused([&] {
    const Codes codes = read_codes(path);
    check_codes(codes, 8, 1024, path.string());
    require(codes.num_codebooks == 8 && codes.num_frames > 0, "codes of a shape that was to be refused");
    for (std::int64_t k = 0; k < codes.num_codebooks; ++k) keep(codes.at(k, codes.num_frames - 1));
  });
}

}  // namespace higgs::fuzz
