#include "higgs/codec/codes.h"

#include <limits>
#include <span>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/formats/safetensors.h"

namespace higgs {
namespace {

constexpr const char* kHash = "xxh3_128";

std::string hash_of(const Codes& codes) {
  return Hasher().update(std::as_bytes(std::span(codes.values))).hex();
}

}  // namespace

Codes frames_of(const Codes& codes, std::int64_t begin, std::int64_t end) {
  HIGGS_ASSERT(0 <= begin && begin <= end && end <= codes.num_frames);
  Codes part{codes.num_codebooks, end - begin, {}};
  for (std::int64_t k = 0; k < codes.num_codebooks; ++k) {
    const auto row = codes.values.begin() + k * codes.num_frames;
    part.values.insert(part.values.end(), row + begin, row + end);
  }
  return part;
}

void append_frames(Codes& codes, const Codes& more) {
  HIGGS_ASSERT(codes.num_frames == 0 || codes.num_codebooks == more.num_codebooks);
  Codes joined{more.num_codebooks, codes.num_frames + more.num_frames, {}};
  joined.values.reserve(codes.values.size() + more.values.size());
  for (std::int64_t k = 0; k < joined.num_codebooks; ++k) {
    for (const Codes* part : {static_cast<const Codes*>(&codes), &more}) {
      const auto row = part->values.begin() + k * part->num_frames;
      joined.values.insert(joined.values.end(), row, row + part->num_frames);
    }
  }
  codes = std::move(joined);
}

Codes read_codes(const fs::path& path) {
  const SafetensorsFile file(path, SafetensorsFile::Access::kRead);
  const std::string where = path.string() + ": tensor 'codes'";
  const TensorView& view = file.at("codes");
  if (view.shape.size() != 2 || view.shape[0] < 1 || view.shape[1] < 1) {
    throw UserError(where + " must have the shape [number of codebooks, number of frames], none of them 0");
  }
  Codes codes;
  codes.num_codebooks = view.shape[0];
  codes.num_frames = view.shape[1];
  const std::vector<std::int64_t> values = file.integers("codes");
  codes.values.reserve(values.size());
  for (const std::int64_t value : values) {
    if (value < 0 || value > std::numeric_limits<std::int16_t>::max()) {
      throw UserError(where + " holds " + std::to_string(value) + ", which is no code");
    }
    codes.values.push_back(static_cast<std::int16_t>(value));
  }
  const auto hash = file.metadata().find(kHash);
  if (hash != file.metadata().end() && hash->second != hash_of(codes)) {
    throw UserError(where + " holds other codes than were written there");
  }
  return codes;
}

void check_codes(const Codes& codes, std::int64_t num_codebooks, std::int64_t codebook_size,
                 const std::string& where) {
  if (codes.num_codebooks != num_codebooks) {
    throw UserError(where + ": holds " + std::to_string(codes.num_codebooks) + " codebooks, the base has " +
                    std::to_string(num_codebooks));
  }
  if (codes.num_frames == 0) throw UserError(where + ": holds no frames");
  for (const std::int16_t code : codes.values) {
    if (code < 0 || code >= codebook_size) {
      throw UserError(where + ": code " + std::to_string(code) + " is outside the codebook of " +
                      std::to_string(codebook_size));
    }
  }
}

void write_codes(const fs::path& path, const Codes& codes) {
  HIGGS_ASSERT(static_cast<std::int64_t>(codes.values.size()) == codes.num_codebooks * codes.num_frames);
  write_safetensors(path,
                    {{"codes",
                      DType::kI16,
                      {codes.num_codebooks, codes.num_frames},
                      std::as_bytes(std::span(codes.values))}},
                    {{kHash, hash_of(codes)}});
}

}  // namespace higgs
