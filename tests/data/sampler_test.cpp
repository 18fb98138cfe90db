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

}  // namespace
}  // namespace higgs
