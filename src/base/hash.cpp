#include "higgs/base/hash.h"

#include <xxhash.h>

#include <cstring>

#include "higgs/base/error.h"

namespace higgs {

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { HIGGS_ASSERT(xxh != nullptr && XXH3_128bits_reset(xxh) == XXH_OK); }
  ~State() { XXH3_freeState(xxh); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

Hasher& Hasher::update(std::span<const std::byte> bytes) {
  HIGGS_ASSERT(XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()) == XXH_OK);
  return *this;
}

Hasher& Hasher::update(std::string_view text) {
  update(static_cast<std::uint64_t>(text.size()));
  return update(std::as_bytes(std::span(text.data(), text.size())));
}

Hasher& Hasher::update(std::uint64_t number) {
  return update(std::as_bytes(std::span(&number, 1)));
}

Hasher& Hasher::update(double number) {
  return update(std::as_bytes(std::span(&number, 1)));
}

Hash128 Hasher::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return {hash.high64, hash.low64};
}

std::string Hasher::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace higgs
