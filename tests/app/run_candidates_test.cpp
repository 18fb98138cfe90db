#include "higgs/app/run_candidates.h"

#include <gtest/gtest.h>

#include <cmath>

namespace higgs {
namespace {

// Samples whose losses lie `spread` around the mean, each in the same place in all outcomes but for `noise`.
Outcome outcome(const std::string& name, double loss, double noise = 0.0) {
  Outcome out{name, loss, {}};
  for (int i = 0; i < 10; ++i) {
    const double sign = i % 2 == 0 ? 1.0 : -1.0;
    out.sample_losses.push_back(static_cast<float>(loss + 0.5 * (i - 4.5) + sign * noise));
  }
  return out;
}

void expect_says(const Choice& choice, const std::string& text) {
  EXPECT_NE(choice.reason.find(text), std::string::npos) << choice.reason;
}

TEST(ChooseBest, NamesTheLowestLossAndTheOverfittedLast) {
  const Choice choice = choose_best(
      {outcome("step 1", 3.0), outcome("step 2", 2.5), outcome("step 3", 2.75), outcome("step 4", 2.9)}, 3.5);
  EXPECT_EQ(choice.best, 1u);
  EXPECT_DOUBLE_EQ(choice.ahead_of_next, 0.25);
  EXPECT_NEAR(choice.ahead_of_last, 0.4, 1e-12);
  EXPECT_TRUE(choice.overfitted);
  EXPECT_TRUE(choice.beats_base);
  EXPECT_EQ(
      choice.reason,
      "step 2 is best by held-out audio loss, 2.5000 nats, 0.2500 ahead of the next (step 3) and 0.4000 of "
      "the last; the last (step 4) is overfitted: training went on while held-out loss rose by 0.4000.");
}

// A difference that changes its sign from sample to sample may be chance: 0.05 with a standard error of 0.1.
TEST(ChooseBest, DoesNotCallChanceOverfitting) {
  const Choice choice = choose_best({outcome("step 1", 2.5), outcome("step 2", 2.55, 0.3)}, std::nullopt);
  EXPECT_EQ(choice.best, 0u);
  EXPECT_FALSE(choice.overfitted);
  expect_says(choice, "the last (step 2) is 0.0500 behind, no more than chance");
}

TEST(ChooseBest, OneSampleCannotShowOverfitting) {
  EXPECT_FALSE(choose_best({{"step 1", 2.0, {2.0f}}, {"step 2", 3.0, {3.0f}}}, std::nullopt).overfitted);
}

TEST(ChooseBest, TheLastMayBeTheBest) {
  const Choice choice = choose_best({outcome("step 1", 3.0), outcome("step 2", 2.5)}, std::nullopt);
  EXPECT_EQ(choice.best, 1u);
  EXPECT_FALSE(choice.overfitted);
  EXPECT_EQ(choice.ahead_of_last, 0.0);
  expect_says(choice, "it is the last, so nothing was lost by training on");
}

TEST(ChooseBest, SaysWhenTheBaseIsNoWorse) {
  const Choice choice = choose_best({outcome("step 1", 3.0)}, 2.5);
  EXPECT_FALSE(choice.beats_base);
  expect_says(choice, "the only one there is");
  expect_says(choice, "the base alone is no worse (2.5000)");
}

TEST(ChooseBest, ALossThatIsNoNumberIsNeverTheBest) {
  const Choice choice = choose_best({outcome("step 1", std::nan("")), outcome("step 2", 3.0)}, std::nullopt);
  EXPECT_EQ(choice.best, 1u);
}

}  // namespace
}  // namespace higgs
