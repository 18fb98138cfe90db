// Damage to files, the same for the same seed on every machine.
#pragma once

#include <cstdint>
#include <string>

namespace higgs::fuzz {

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : state_(seed) {}

  // `bytes` after one to three of: bits flipped, cut short, bytes overwritten (most often near the beginning,
  // where headers are), two blocks exchanged, a stretch filled with zeros, a stretch repeated, a stretch
  // taken out.
  std::string damaged(std::string bytes);
  // Below `limit`, which is at least 1.
  std::size_t below(std::size_t limit);

 private:
  void damage_once(std::string& bytes);
  std::size_t place(const std::string& bytes);
  std::uint64_t state_;
};

}  // namespace higgs::fuzz
