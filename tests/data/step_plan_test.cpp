// Every sample once, ranks even in tokens, the same whoever asks.
#include "higgs/data/step_plan.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "higgs/kernels/philox.h"
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

// The samples of replay in a step, by place; the step's own are what they are without.
std::vector<std::size_t> replayed(StepPlanner& planner, StepPlanner& without, std::int64_t step) {
  const StepPlan plan = planner.plan(step), own = without.plan(step);
  std::vector<std::pair<std::int64_t, std::size_t>> placed;
  std::int64_t num_own = 0;
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    std::size_t i = 0;
    for (; i < plan.ranks[rank].size() && !plan.ranks[rank][i].replay; ++i) {
      EXPECT_EQ(plan.ranks[rank][i].samples, own.ranks[rank][i].samples);
      EXPECT_EQ(plan.ranks[rank][i].places, own.ranks[rank][i].places);
      num_own += static_cast<std::int64_t>(plan.ranks[rank][i].samples.size());
    }
    EXPECT_EQ(i, own.ranks[rank].size());
    for (; i < plan.ranks[rank].size(); ++i) {
      const MicroBatch& micro = plan.ranks[rank][i];
      EXPECT_TRUE(micro.replay);
      for (std::size_t k = 0; k < micro.samples.size(); ++k)
        placed.emplace_back(micro.places[k], micro.samples[k]);
    }
  }
  std::sort(placed.begin(), placed.end());
  std::vector<std::size_t> samples;
  for (const auto& [place, sample] : placed) {
    EXPECT_EQ(place, num_own + static_cast<std::int64_t>(samples.size()));
    samples.push_back(sample);
  }
  return samples;
}

// A tenth of all: one for nine. However steps are split, and where a run goes on with other steps.
TEST(StepPlan, ReplayHasItsShareOfEveryStep) {
  const auto lengths = random_lengths(70, 1), others = random_lengths(11, 2);
  Sampler sampler(11, mix_key(3, 0x5EB1A7));
  std::vector<std::size_t> expected;
  for (std::uint64_t i = 0; i < 20; ++i) expected.push_back(sampler.at(i));
  for (const SplitOptions& split :
       {SplitOptions{18, 1, 1}, {6, 3, 1}, {3, 3, 2}, {1, 2, 1}, {4, 2, 3}, {1, 2, 2, 3000}}) {
    StepPlanner planner(lengths, 3, split, {180}), without(lengths, 3, split, {180});
    planner.add_replay(others, 3, 0.1);
    std::vector<std::size_t> drawn;
    const auto take = [&](StepPlanner& from, StepPlanner& own, std::int64_t step) {
      for (const std::size_t sample : replayed(from, own, step)) drawn.push_back(sample);
      EXPECT_NEAR(static_cast<double>(drawn.size()), static_cast<double>(own.samples_before(step + 1)) / 9,
                  1.0);
    };
    const std::int64_t half = planner.total_steps() / 2;
    for (std::int64_t step = 0; step < half; ++step) take(planner, without, step);
    const StepOrigin there{half, planner.place_before(half)};
    StepPlanner rest(lengths, 3, {5, 1, 2}, {180}, there), rest_without(lengths, 3, {5, 1, 2}, {180}, there);
    rest.add_replay(others, 3, 0.1);
    for (std::int64_t step = half; step < rest.total_steps(); ++step) take(rest, rest_without, step);
    ASSERT_GE(drawn.size(), 19u);
    EXPECT_EQ(drawn, std::vector<std::size_t>(expected.begin(), expected.begin() + std::ssize(drawn)));
  }
}

TEST(StepPlan, ReplayKeepsTheLimitsAndGoesWhereThereIsLeastToDo) {
  const std::vector<std::int64_t> lengths = {10, 4, 4, 4};
  StepPlanner planner(lengths, 0, {2, 1, 2}, {4});
  planner.add_replay(std::vector<std::int64_t>{2, 2, 2}, 0, 0.4);
  const StepPlan plan = planner.plan(0);
  EXPECT_EQ(plan.tokens, (std::vector<std::int64_t>{14, 12}));
  EXPECT_EQ(plan.ranks[0].size(), 1u);
  ASSERT_EQ(plan.ranks[1].size(), 2u);
  EXPECT_EQ(plan.ranks[1][1].samples.size(), 2u) << "a micro-batch has batch_size samples";
  StepPlanner packed(random_lengths(40, 5), 1, {1, 2, 2, 2500}, {40});
  const auto others = random_lengths(40, 6);
  packed.add_replay(others, 1, 0.5);
  for (std::int64_t step = 0; step < packed.total_steps(); ++step) {
    for (const auto& rank : packed.plan(step).ranks) {
      for (const MicroBatch& micro : rank) {
        std::int64_t tokens = 0;
        for (const std::size_t sample : micro.samples) tokens += micro.replay ? others[sample] : 0;
        EXPECT_LE(tokens, 2500);
      }
    }
  }
}

}  // namespace
}  // namespace higgs
