#include "higgs/data/sampler.h"

#include <gtest/gtest.h>

#include <set>

namespace higgs {
namespace {

std::vector<std::size_t> draw(Sampler& sampler, std::uint64_t from, std::size_t count) {
  std::vector<std::size_t> drawn;
  for (std::size_t i = 0; i < count; ++i) drawn.push_back(sampler.at(from + i));
  return drawn;
}

TEST(Sampler, GivesEverySampleOncePerEpoch) {
  Sampler sampler(101, 7);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    const auto drawn = draw(sampler, epoch * 101, 101);
    EXPECT_EQ(std::set<std::size_t>(drawn.begin(), drawn.end()).size(), 101u);
  }
}

TEST(Sampler, ShufflesEachEpochAnewAndBySeed) {
  Sampler sampler(50, 7), other(50, 8);
  EXPECT_NE(draw(sampler, 0, 50), draw(sampler, 50, 50));
  EXPECT_NE(draw(sampler, 0, 50), draw(other, 0, 50));
}

TEST(Sampler, APositionIsItsWholeState) {
  Sampler whole(13, 3), resumed(13, 3);
  const auto all = draw(whole, 0, 40);
  const auto tail = draw(resumed, 20, 20);
  EXPECT_EQ(std::vector<std::size_t>(all.begin() + 20, all.end()), tail);
}

// The order is part of what a run means: it may not change with a compiler or library.
TEST(Sampler, OrderIsFixedForASeed) {
  Sampler sampler(5, 0);
  EXPECT_EQ(draw(sampler, 0, 5), (std::vector<std::size_t>{0, 1, 3, 2, 4}));
}

TEST(Permutation, TakesEachNumberOnce) {
  for (const std::uint64_t size : {1, 2, 3, 4, 5, 16, 17, 99, 100, 101, 65537, 100000}) {
    const Permutation permutation(size, 7);
    std::vector<bool> taken(size, false);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t at = permutation.at(i);
      ASSERT_LT(at, size);
      EXPECT_FALSE(taken[at]) << at << " of " << size;
      taken[at] = true;
    }
  }
}

// As many neighbours stay neighbours as in a random order: 2 on average, whatever the size; and a tenth of
// the places holds about a tenth of each tenth of the numbers.
TEST(Permutation, LooksRandom) {
  constexpr std::uint64_t kSize = 200000;
  for (const std::uint64_t key : {1, 2, 3}) {
    const Permutation permutation(kSize, key);
    std::uint64_t neighbours = 0, fixed = 0;
    std::vector<std::vector<std::uint64_t>> counts(10, std::vector<std::uint64_t>(10, 0));
    for (std::uint64_t i = 0; i < kSize; ++i) {
      const std::uint64_t at = permutation.at(i);
      fixed += at == i ? 1 : 0;
      ++counts[i * 10 / kSize][at * 10 / kSize];
      if (i == 0) continue;
      const std::uint64_t before = permutation.at(i - 1);
      neighbours += before + 1 == at || at + 1 == before ? 1 : 0;
    }
    EXPECT_LT(neighbours, 12u);
    EXPECT_LT(fixed, 10u);
    for (const auto& row : counts) {
      for (const std::uint64_t count : row) EXPECT_NEAR(static_cast<double>(count), 2000.0, 200.0);
    }
  }
}

TEST(Sampler, GivesEverySampleOncePerEpochWhereItPermutes) {
  constexpr std::size_t kSize = Sampler::kMostInMemory + 1000;
  Sampler sampler(kSize, 7);
  const std::vector<std::size_t> first = draw(sampler, 0, kSize), second = draw(sampler, kSize, kSize);
  EXPECT_EQ(std::set<std::size_t>(first.begin(), first.end()).size(), kSize);
  EXPECT_EQ(std::set<std::size_t>(second.begin(), second.end()).size(), kSize);
  EXPECT_NE(first, second);
  Sampler other(kSize, 8);
  EXPECT_NE(first, draw(other, 0, kSize));
}

// Computed by another program.
TEST(Sampler, PermutedOrderIsFixedForASeed) {
  Sampler sampler(10000000, 0);
  EXPECT_EQ(draw(sampler, 0, 3), (std::vector<std::size_t>{79330, 3401947, 1691851}));
}

}  // namespace
}  // namespace higgs
