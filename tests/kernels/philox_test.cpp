#include "higgs/kernels/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace higgs {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words words(Words counter, std::uint64_t key) {
  const Philox4 out = philox4x32({{counter[0], counter[1], counter[2], counter[3]}}, key);
  return {out.word[0], out.word[1], out.word[2], out.word[3]};
}

// philox4x32 with 10 rounds in Random123's list of known answers; the key's low half is its first word.
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(words({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffffull),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(MixKey, KeepsSeedsStepsAndModulesApart) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    for (std::uint64_t step = 0; step < 32; ++step) {
      for (std::uint64_t module = 0; module < 16; ++module) {
        keys.insert(mix_key(mix_key(seed, step), module));
      }
    }
  }
  EXPECT_EQ(keys.size(), 8u * 32u * 16u);
}

}  // namespace
}  // namespace higgs
