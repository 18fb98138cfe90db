// An encoded sample as bytes, to be read by the same program on the same machine. Torch-free.
#pragma once

#include <span>
#include <string>

#include "higgs/data/clip_folder.h"
#include "higgs/data/collate.h"

namespace higgs {

// Without `where`, and without label_codes, which a manifest's samples don't have.
std::string sample_bytes(const EncodedSample& sample);
// `clips` and `where` are what heard clips are read again with. The bytes are sample_bytes()'s: anything else
// is a programmer's error.
EncodedSample sample_from_bytes(std::span<const std::byte> bytes, const ClipFolder& clips,
                                const std::string& where);

}  // namespace higgs
