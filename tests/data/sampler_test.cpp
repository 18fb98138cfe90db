#include "higgs/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
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

// 90 samples of one group, 9 of another, 1 of a third, mixed; numbers with gaps.
std::shared_ptr<const Groups> uneven_groups() {
  return std::make_shared<const Groups>(100, [](std::size_t i) {
    return i == 50 ? 7u : i % 10 == 3 && i != 93 ? 4u : 0u;
  });
}

TEST(Groups, KnowTheirSamples) {
  const auto groups = uneven_groups();
  ASSERT_EQ(groups->size(), 3u);
  EXPECT_EQ(groups->number(1), 4u);
  EXPECT_EQ(groups->count(0), 90u);
  EXPECT_EQ(groups->count(1), 9u);
  EXPECT_EQ(groups->member(1, 0), 3u);
  EXPECT_EQ(groups->member(1, 8), 83u);
  EXPECT_EQ(groups->member(2, 0), 50u);
  EXPECT_EQ(groups->fingerprint(), uneven_groups()->fingerprint());
  EXPECT_NE(groups->fingerprint(),
            Groups(100, [](std::size_t i) { return i == 51 ? 7u : 0u; }).fingerprint());
}

TEST(BalancedSampler, DrawsFromEachGroupEquallyOften) {
  const auto groups = uneven_groups();
  const auto group_of = [](std::size_t i) { return i == 50 ? 2 : i % 10 == 3 && i != 93 ? 1 : 0; };
  Sampler sampler(100, 7, groups);
  std::map<int, int> all;
  std::map<std::size_t, int> times;
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    std::map<int, int> counts;
    for (const std::size_t i : draw(sampler, 100 * epoch, 100)) {
      ++counts[group_of(i)];
      ++all[group_of(i)];
      ++times[i];
    }
    for (int group = 0; group < 3; ++group) EXPECT_NEAR(counts[group], 100.0 / 3, 1.0) << "epoch " << epoch;
  }
  for (int group = 0; group < 3; ++group) EXPECT_NEAR(all[group], 500.0 / 3, 1.0);
  // Within a group as often as each other, over all epochs.
  for (std::size_t i = 0; i < 100; ++i) {
    const double expected = 500.0 / 3 / (group_of(i) == 0 ? 90 : group_of(i) == 1 ? 9 : 1);
    EXPECT_NEAR(times[i], expected, 1.0) << "sample " << i;
  }
}

TEST(BalancedSampler, APositionIsItsWholeStateAndTheSeedDecides) {
  Sampler whole(100, 3, uneven_groups()), resumed(100, 3, uneven_groups()), other(100, 4, uneven_groups());
  const auto all = draw(whole, 0, 250);
  EXPECT_EQ(std::vector<std::size_t>(all.begin() + 130, all.end()), draw(resumed, 130, 120));
  EXPECT_NE(all, draw(other, 0, 250));
  EXPECT_NE(draw(whole, 0, 100), draw(whole, 100, 100)) << "each epoch is shuffled anew";
}

// 90 samples of a group are drawn 50 an epoch: after nine epochs a pass over them begins with an epoch again.
TEST(BalancedSampler, ShufflesAGroupAnewForEachPass) {
  Sampler sampler(100, 7,
                  std::make_shared<const Groups>(100, [](std::size_t i) { return i < 90 ? 0u : 1u; }));
  const auto of_large = [&](std::uint64_t epoch) {
    std::set<std::size_t> samples;
    for (const std::size_t i : draw(sampler, 100 * epoch, 100)) {
      if (i < 90) samples.insert(i);
    }
    return samples;
  };
  EXPECT_EQ(of_large(0).size(), 50u);
  EXPECT_EQ(of_large(9).size(), 50u);
  EXPECT_NE(of_large(0), of_large(9));
}

// Groups come in no order that a step could fall in with.
TEST(BalancedSampler, MixesGroups) {
  Sampler sampler(100, 7, uneven_groups());
  int alike = 0;
  const auto drawn = draw(sampler, 0, 100);
  for (std::size_t i = 1; i < drawn.size(); ++i) alike += (drawn[i] == 50) == (drawn[i - 1] == 50) ? 1 : 0;
  EXPECT_NEAR(alike, 55, 15);
}

TEST(BalancedSampler, IsEvenWhereItPermutes) {
  constexpr std::size_t kSize = Sampler::kMostInMemory + 1000;
  const auto groups =
      std::make_shared<const Groups>(kSize, [](std::size_t i) { return i % 100 == 0 ? 1u : 0u; });
  Sampler sampler(kSize, 7, groups);
  std::size_t small = 0;
  std::set<std::size_t> different;
  for (const std::size_t i : draw(sampler, 0, kSize)) {
    small += i % 100 == 0 ? 1 : 0;
    different.insert(i);
  }
  EXPECT_EQ(small, kSize / 2);
  EXPECT_EQ(different.size(), kSize / 2 + groups->count(1)) << "no sample of the large group comes twice";
}

// Computed by another program.
TEST(BalancedSampler, OrderIsFixedForASeed) {
  Sampler sampler(6, 0, std::make_shared<const Groups>(6, [](std::size_t i) { return i == 5 ? 1u : 0u; }));
  EXPECT_EQ(draw(sampler, 0, 6), (std::vector<std::size_t>{4, 5, 5, 0, 5, 2}));
}

}  // namespace
}  // namespace higgs
