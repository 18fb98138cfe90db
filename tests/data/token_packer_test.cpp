// Packing under a token budget: every sample once, no bin too full, few bins, the same wherever it is asked
// from.
#include "higgs/data/token_packer.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "higgs/data/step_plan.h"
#include "support/lengths.h"

namespace higgs {
namespace {

using test::random_lengths;

// As the name says, by looking through all bins.
std::vector<std::vector<std::size_t>> first_fit_plainly(const std::vector<std::int64_t>& sizes,
                                                        std::int64_t capacity) {
  std::vector<std::vector<std::size_t>> bins;
  std::vector<std::int64_t> rooms;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::size_t bin = 0;
    while (bin < rooms.size() && rooms[bin] < sizes[i]) ++bin;
    if (bin == rooms.size()) {
      rooms.push_back(capacity);
      bins.emplace_back();
    }
    rooms[bin] -= sizes[i];
    bins[bin].push_back(i);
  }
  return bins;
}

TEST(FirstFit, IsFirstFit) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    const auto lengths = random_lengths(500, seed);
    EXPECT_EQ(first_fit(lengths, 2048), first_fit_plainly(lengths, 2048));
  }
  EXPECT_TRUE(first_fit({}, 10).empty());
  const std::vector<std::int64_t> sizes = {6, 5, 4, 5};
  EXPECT_EQ(first_fit(sizes, 10), (std::vector<std::vector<std::size_t>>{{0, 2}, {1, 3}}));
}

TEST(TokenPacker, FillsBinsWell) {
  const auto lengths = random_lengths(20000, 1);
  TokenPacker packer(lengths, 3, 4096, {}, 20000);
  const double tokens = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  EXPECT_GT(tokens / (4096.0 * static_cast<double>(packer.num_bins())), 0.97);
}

TEST(TokenPacker, EverySampleOncePerEpochAndNoBinTooFull) {
  const std::size_t size = 9000;  // two windows an epoch
  const auto lengths = random_lengths(size, 2);
  TokenPacker packer(lengths, 5, 2500, {}, 3 * static_cast<std::int64_t>(size));
  Sampler sampler(size, 5);
  std::vector<std::int64_t> drawn;
  const std::int64_t bins = packer.num_bins();
  for (std::int64_t i = 0; i < bins; ++i) {
    EXPECT_EQ(packer.positions_before(i), static_cast<std::int64_t>(drawn.size()));
    std::int64_t tokens = 0;
    ASSERT_FALSE(packer.bin(i).empty());
    for (const std::int64_t position : packer.bin(i)) {
      tokens += lengths[sampler.at(static_cast<std::uint64_t>(position))];
      drawn.push_back(position);
    }
    EXPECT_LE(tokens, 2500);
  }
  ASSERT_EQ(drawn.size(), 3 * size);
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {  // one after the other
    std::vector<std::int64_t> part(drawn.begin() + static_cast<std::ptrdiff_t>(epoch * size),
                                   drawn.begin() + static_cast<std::ptrdiff_t>((epoch + 1) * size));
    std::sort(part.begin(), part.end());
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(part[i], static_cast<std::int64_t>(epoch * size + i));
  }
}

TEST(TokenPacker, IsTheSameInAnyOrderOfAskingAndWithoutAnEnd) {
  const auto lengths = random_lengths(100, 3);
  TokenPacker forwards(lengths, 1, 2048, {}, std::nullopt), backwards(lengths, 1, 2048, {}, std::nullopt);
  std::vector<std::vector<std::int64_t>> bins;
  for (std::int64_t i = 0; i < 60; ++i) bins.push_back(forwards.bin(i));
  for (std::int64_t i = 59; i >= 0; --i) EXPECT_EQ(backwards.bin(i), bins[static_cast<std::size_t>(i)]) << i;
}

// Stopped anywhere and gone on from there with another budget, or in numbers of samples: nothing lost or
// taken twice.
TEST(TokenPacker, GoesOnFromWhereAnotherSplitStopped) {
  const std::int64_t size = 300;
  const auto lengths = random_lengths(static_cast<std::size_t>(size), 4);
  const SplitOptions small{1, 2, 1, 2048}, large{1, 1, 2, 4096}, counted{7, 1, 1};
  for (const std::int64_t stop : {0, 1, 5, 17}) {
    for (const SplitOptions& then : {large, counted}) {
      StepPlanner first(lengths, 8, small, {2 * size});
      std::multiset<std::size_t> drawn;
      const auto take = [&](StepPlanner& planner, std::int64_t step) {
        for (const auto& rank : planner.plan(step).ranks) {
          for (const MicroBatch& micro : rank) drawn.insert(micro.samples.begin(), micro.samples.end());
        }
      };
      for (std::int64_t step = 0; step < stop; ++step) take(first, step);
      EXPECT_EQ(first.samples_before(stop), static_cast<std::int64_t>(drawn.size()));
      StepPlanner second(lengths, 8, then, {2 * size}, {stop, first.place_before(stop)});
      EXPECT_EQ(second.samples_before(stop), static_cast<std::int64_t>(drawn.size()));
      const std::int64_t middle = stop + (second.total_steps() - stop) / 3;
      for (std::int64_t step = stop; step < middle; ++step) take(second, step);
      StepPlanner third(lengths, 8, small, {2 * size}, {middle, second.place_before(middle)});
      for (std::int64_t step = middle; step < third.total_steps(); ++step) take(third, step);
      ASSERT_EQ(drawn.size(), static_cast<std::size_t>(2 * size));
      for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i) EXPECT_EQ(drawn.count(i), 2u);
    }
  }
}

// The same step whichever way it is split over ranks and accumulation: samples and dropout's places.
TEST(TokenPacker, PacksWhatABalancedSamplerDraws) {
  const auto lengths = random_lengths(300, 4);
  const auto groups = std::make_shared<const Groups>(300, [](std::size_t i) { return i < 30 ? 1u : 0u; });
  StepPlanner planner(lengths, 2, {1, 2, 2, 2500}, {600}, {}, groups);
  std::map<std::size_t, int> times;
  for (std::int64_t step = 0; step < planner.total_steps(); ++step) {
    for (const auto& rank : planner.plan(step).ranks) {
      for (const MicroBatch& micro : rank) {
        for (const std::size_t i : micro.samples) ++times[i];
      }
    }
  }
  int of_small = 0, of_all = 0;
  for (const auto& [sample, count] : times) {
    of_small += sample < 30 ? count : 0;
    of_all += count;
  }
  EXPECT_EQ(of_all, 600);
  EXPECT_EQ(of_small, 300);
}

TEST(TokenPacker, AStepDoesNotDependOnHowItIsSplitOverRanks) {
  const auto lengths = random_lengths(400, 6);
  const auto placed = [&](const SplitOptions& split) {
    StepPlanner planner(lengths, 2, split, {0, 10});
    std::vector<std::set<std::pair<std::int64_t, std::size_t>>> steps;
    EXPECT_EQ(planner.total_steps(), 10);
    for (std::int64_t step = 0; step < 10; ++step) {
      auto& places = steps.emplace_back();
      const StepPlan plan = planner.plan(step);
      EXPECT_LT(plan.imbalance(), 0.25);
      for (const auto& rank : plan.ranks) {
        EXPECT_LE(rank.size(), static_cast<std::size_t>(split.grad_accum));
        for (const MicroBatch& micro : rank) {
          for (std::size_t i = 0; i < micro.samples.size(); ++i)
            places.emplace(micro.places[i], micro.samples[i]);
        }
      }
    }
    return steps;
  };
  EXPECT_EQ(placed({1, 4, 1, 2048}), placed({1, 1, 4, 2048}));
  EXPECT_EQ(placed({1, 4, 1, 2048}), placed({1, 2, 2, 2048}));
}

}  // namespace
}  // namespace higgs
