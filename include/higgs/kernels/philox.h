// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
// (SC 2011): four random words are a pure function of a 128-bit counter and a 64-bit key. For host and
// device.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define HIGGS_HOST_DEVICE __host__ __device__
#else
#define HIGGS_HOST_DEVICE
#endif

namespace higgs {

struct Philox4 {
  std::uint32_t word[4];
};

HIGGS_HOST_DEVICE inline Philox4 philox4x32(Philox4 counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(0xD2511F53u) * counter.word[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(0xCD9E8D57u) * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Mixes a value into a key (splitmix64's finaliser), so that (seed, step, module) give unrelated keys.
HIGGS_HOST_DEVICE inline std::uint64_t mix_key(std::uint64_t key, std::uint64_t value) {
  std::uint64_t z = key + 0x9E3779B97F4A7C15ull * (value + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace higgs
