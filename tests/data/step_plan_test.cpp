// Every sample once, ranks even in tokens, the same whoever asks.
#include "higgs/data/step_plan.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "support/lengths.h"

namespace higgs {
namespace {

using test::random_lengths;

// Checks a step's plan against its limits and returns its samples by place.
std::vector<std::size_t> samples_by_place(const StepPlan& plan, const SplitOptions& options,
                                          const std::vector<std::int64_t>& lengths) {
  std::vector<std::pair<std::int64_t, std::size_t>> placed;
  EXPECT_EQ(plan.ranks.size(), static_cast<std::size_t>(options.world_size));
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    EXPECT_LE(plan.ranks[r].size(), static_cast<std::size_t>(options.grad_accum));
    std::int64_t tokens = 0, before = -1;
    for (const MicroBatch& micro : plan.ranks[r]) {
      EXPECT_FALSE(micro.samples.empty());
      EXPECT_LE(micro.samples.size(), static_cast<std::size_t>(options.batch_size));
      EXPECT_EQ(micro.samples.size(), micro.places.size());
      EXPECT_TRUE(std::is_sorted(micro.places.begin(), micro.places.end()));
      std::int64_t weight = 0;
      for (std::size_t i = 0; i < micro.samples.size(); ++i) {
        weight += lengths[micro.samples[i]];
        placed.emplace_back(micro.places[i], micro.samples[i]);
      }
      EXPECT_TRUE(before < 0 || weight <= before) << "heaviest first";
      before = weight;
      tokens += weight;
    }
    EXPECT_EQ(plan.tokens[r], tokens);
  }
  std::sort(placed.begin(), placed.end());
  std::vector<std::size_t> samples;
  for (std::size_t i = 0; i < placed.size(); ++i) {
    EXPECT_EQ(placed[i].first, static_cast<std::int64_t>(i));
    samples.push_back(placed[i].second);
  }
  return samples;
}

TEST(StepPlan, EverySampleOncePerEpochInTheSamplersOrder) {
  const std::size_t size = 101;
  const auto lengths = random_lengths(size, 1);
  for (const SplitOptions& options : {SplitOptions{1, 1, 1}, {2, 3, 1}, {2, 3, 4}, {3, 1, 5}, {64, 2, 3}}) {
    StepPlanner planner(lengths, 7, options, {static_cast<std::int64_t>(2 * size)});
    Sampler sampler(size, 7);
    std::vector<std::size_t> drawn;
    for (std::int64_t step = 0; step < planner.total_steps(); ++step) {
      const auto samples = samples_by_place(planner.plan(step), options, lengths);
      drawn.insert(drawn.end(), samples.begin(), samples.end());
      if (step + 1 < planner.total_steps()) {
        EXPECT_EQ(static_cast<std::int64_t>(samples.size()), options.samples_per_step());
      }
    }
    ASSERT_EQ(drawn.size(), 2 * size);
    for (std::size_t i = 0; i < drawn.size(); ++i) ASSERT_EQ(drawn[i], sampler.at(i));
  }
}

TEST(StepPlan, AStepIsTheSameInAnyOrderOfAsking) {
  const auto lengths = random_lengths(50, 2);
  const SplitOptions options{2, 2, 3};
  StepPlanner forwards(lengths, 1, options, {150}), backwards(lengths, 1, options, {150});
  std::vector<std::vector<std::int64_t>> tokens;
  for (std::int64_t step = 0; step < forwards.total_steps(); ++step)
    tokens.push_back(forwards.plan(step).tokens);
  for (std::int64_t step = forwards.total_steps() - 1; step >= 0; --step) {
    EXPECT_EQ(backwards.plan(step).tokens, tokens[static_cast<std::size_t>(step)]);
  }
}

// The limit on the number can make the rule worse than dealing in order; then that is taken.
TEST(StepPlan, IsNeverLessEvenThanDealingInOrder) {
  double balanced = 0, in_order = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    const SplitOptions options{1 + seed % 4, 1 + seed % 3, 2 + seed % 7};
    StepPlanner planner(random_lengths(200, seed), seed, options, {200});
    for (std::int64_t step = 0; step < planner.total_steps(); ++step) {
      const double better = planner.plan(step).imbalance(), worse = planner.plan_in_order(step).imbalance();
      EXPECT_LE(better, worse + 1e-12) << seed << " " << step;
      // Where there is little to choose from, or the last step is small, nothing helps.
      if (options.batch_size * options.grad_accum < 4 || step + 1 == planner.total_steps()) continue;
      balanced += better;
      in_order += worse;
    }
  }
  EXPECT_LT(balanced, 0.25 * in_order);
}

TEST(StepPlan, ImbalanceIsTheBusiestOverTheMean) {
  // One long clip and three short ones over two ranks: 10 | 4 + 3 + 2 with no limit, 10 + 2 | 4 + 3 with two
  // each.
  StepPlanner planner(std::vector<std::int64_t>{10, 4, 3, 2}, 0, {2, 1, 2}, {4});
  const StepPlan plan = planner.plan(0);
  EXPECT_EQ(std::multiset<std::int64_t>(plan.tokens.begin(), plan.tokens.end()),
            (std::multiset<std::int64_t>{7, 12}));
  EXPECT_NEAR(plan.imbalance(), 12.0 / 9.5 - 1.0, 1e-12);
}

TEST(StepPlan, FewerSamplesThanRanks) {
  StepPlanner planner(std::vector<std::int64_t>{5, 5, 5}, 0, {2, 2, 8}, {3});
  ASSERT_EQ(planner.total_steps(), 1);
  const StepPlan plan = planner.plan(0);
  std::size_t busy = 0;
  for (const auto& rank : plan.ranks) busy += rank.empty() ? 0 : 1;
  EXPECT_EQ(busy, 3u);
}

TEST(StepPlan, SharesAreDisjointAndEven) {
  const auto lengths = random_lengths(97, 5);
  const auto shares = share_by_tokens(lengths, 4, 97);
  std::set<std::int64_t> all;
  std::vector<std::int64_t> sums;
  for (const auto& share : shares) {
    EXPECT_TRUE(std::is_sorted(share.begin(), share.end()));
    all.insert(share.begin(), share.end());
    sums.push_back(0);
    for (const std::int64_t i : share) sums.back() += lengths[static_cast<std::size_t>(i)];
  }
  EXPECT_EQ(all.size(), 97u);
  const auto [least, most] = std::minmax_element(sums.begin(), sums.end());
  EXPECT_LT(*most - *least, *std::max_element(lengths.begin(), lengths.end()));
  EXPECT_TRUE(share_by_tokens({}, 2, 0)[1].empty());
}

// A run whose steps change their size half-way draws the same samples in the same order.
TEST(StepPlan, AnotherStepSizeGoesOnInTheStreamWhereItStood) {
  const std::vector<std::int64_t> lengths = random_lengths(23, 4);
  const SplitOptions small{2, 1, 1}, large{2, 2, 2};
  StepPlanner whole(lengths, 9, {1, 1, 1}, {60}), first(lengths, 9, small, {60});
  std::vector<std::size_t> expected, drawn;
  for (std::int64_t i = 0; i < 60; ++i) expected.push_back(whole.plan(i).ranks[0][0].samples[0]);
  const auto take = [&](StepPlanner& planner, const SplitOptions& options, std::int64_t step) {
    for (const std::size_t s : samples_by_place(planner.plan(step), options, lengths)) drawn.push_back(s);
  };
  for (std::int64_t step = 0; step < 7; ++step) take(first, small, step);
  ASSERT_EQ(first.samples_before(7), 14);
  StepPlanner rest(lengths, 9, large, {60}, {7, {14, {}}});
  EXPECT_EQ(rest.total_steps(), 7 + 6);  // 46 samples are left, eight a step
  EXPECT_EQ(rest.samples_before(7), 14);
  EXPECT_EQ(rest.samples_before(13), 60);
  for (std::int64_t step = 7; step < 13; ++step) take(rest, large, step);
  EXPECT_EQ(drawn, expected);
  EXPECT_EQ(StepPlanner(lengths, 9, small, {10}, {7, {14, {}}}).total_steps(), 7) << "nothing is left";
}

}  // namespace
}  // namespace higgs
