// Lengths of samples as speech has them: many of a middling length, a few long ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace higgs::test {

inline std::vector<std::int64_t> random_lengths(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> distribution(5.0, 0.6);
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < count; ++i) {
    lengths.push_back(20 + std::min<std::int64_t>(2000, static_cast<std::int64_t>(distribution(random))));
  }
  return lengths;
}

}  // namespace higgs::test
