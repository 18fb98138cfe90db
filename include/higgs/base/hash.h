// Content hashes: xxh3-128, for cache keys and integrity, not for security.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace higgs {

struct Hash128 {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const Hash128&) const = default;
};

class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& update(std::span<const std::byte> bytes);
  // Hashes length and bytes, so that ("ab","c") and ("a","bc") differ.
  Hasher& update(std::string_view text);
  Hasher& update(std::uint64_t number);
  Hasher& update(double number);
  Hash128 digest() const;
  std::string hex() const;  // 32 lower-case digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace higgs
