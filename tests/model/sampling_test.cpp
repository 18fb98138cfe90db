#include "higgs/model/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace higgs {
namespace {

using Frame = std::vector<std::int64_t>;

std::int64_t draw(std::span<const float> logits, double temperature, std::int64_t top_k, double top_p,
                  SamplingStream& stream) {
  DrawScratch scratch;
  return higgs::draw(logits, temperature, top_k, top_p, stream, scratch);
}

// `history`: frames, newest last.
Frame sample_frame(std::span<const float> logits, std::size_t num_codebooks,
                   const std::vector<Frame>& history, const SamplingOptions& options, const RasRule& rule,
                   SamplingStream& stream) {
  Frame flat, frame(num_codebooks);
  for (const Frame& earlier : history) flat.insert(flat.end(), earlier.begin(), earlier.end());
  DrawScratch scratch;
  sample_frame(logits, flat, options, rule, stream, scratch, frame);
  return frame;
}

std::vector<float> some_logits(std::size_t n) {
  std::vector<float> logits(n);
  for (std::size_t i = 0; i < n; ++i) logits[i] = 3.0f * std::sin(static_cast<float>(i * i + 1));
  return logits;
}

// Probabilities after temperature, top-k and top-p, computed the long way: sort everything, add up.
std::map<std::int64_t, double> expected(const std::vector<float>& logits, double temperature,
                                        std::int64_t top_k, double top_p) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  if (top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(top_k)));
  std::map<std::int64_t, double> kept;
  double total = 0, before = 0, left = 0;
  for (const auto id : order) total += std::exp(logits[static_cast<std::size_t>(id)] / temperature);
  for (const auto id : order) {
    const double share = std::exp(logits[static_cast<std::size_t>(id)] / temperature) / total;
    if (before >= top_p && top_p < 1.0 && !kept.empty()) break;
    kept[id] = share;
    before += share;
  }
  for (const auto& [id, share] : kept) left += share;
  for (auto& [id, share] : kept) share /= left;
  return kept;
}

struct Setting {
  double temperature;
  std::int64_t top_k;
  double top_p;
};

// The ids drawn are exactly those allowed, as often as they should be. The seed is fixed; the bound on
// chi-square is more than six standard deviations above its mean, so only a wrong distribution passes it.
TEST(Draw, FollowsTheCutDistribution) {
  const std::vector<float> logits = some_logits(40);
  for (const Setting& s : {Setting{1, 0, 1}, Setting{1, 8, 1}, Setting{1, 0, 0.6}, Setting{0.5, 12, 0.9},
                           Setting{2.5, 20, 0.8}, Setting{1, 1, 1}, Setting{1, 0, 0.01}}) {
    const auto want = expected(logits, s.temperature, s.top_k, s.top_p);
    SamplingStream stream(1234);
    std::map<std::int64_t, int> counts;
    const int draws = 60000;
    for (int i = 0; i < draws; ++i) ++counts[draw(logits, s.temperature, s.top_k, s.top_p, stream)];
    double chi_square = 0;
    for (const auto& [id, share] : want) {
      const double mean = share * draws;
      if (mean > 20) {
        EXPECT_GT(counts[id], 0) << id;
      }
      chi_square += (counts[id] - mean) * (counts[id] - mean) / mean;
    }
    for (const auto& [id, count] : counts) EXPECT_TRUE(count == 0 || want.count(id) == 1) << id;
    const double freedom = static_cast<double>(want.size());
    EXPECT_LT(chi_square, freedom + 6 * std::sqrt(2 * freedom) + 6) << "temperature " << s.temperature;
  }
}

TEST(Draw, TopPKeepsTheIdThatPassesTheBound) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const auto drawn = [&](double top_p) {
    SamplingStream stream(7);
    std::set<std::int64_t> ids;
    for (int i = 0; i < 500; ++i) ids.insert(draw(logits, 1.0, 0, top_p, stream));
    return ids;
  };
  EXPECT_EQ(drawn(0.4), (std::set<std::int64_t>{0}));
  EXPECT_EQ(drawn(0.6), (std::set<std::int64_t>{0, 1}));
  EXPECT_EQ(drawn(0.9), (std::set<std::int64_t>{0, 1, 2}));
}

TEST(SamplingStream, IsUniformAndRepeatable) {
  SamplingStream a(1), b(1), c(2);
  double sum = 0;
  int differ = 0;
  for (int i = 0; i < 10000; ++i) {
    const double x = a.uniform();
    EXPECT_TRUE(x >= 0 && x < 1);
    EXPECT_EQ(x, b.uniform());
    differ += x != c.uniform();
    sum += x;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);  // seven standard deviations
  EXPECT_GT(differ, 9990);
}

TEST(Argmax, TakesTheFirstAmongEquals) {
  const std::vector<float> logits = {1, 4, 2, 4};
  EXPECT_EQ(argmax(logits), 1);
}

TEST(SampleFrame, GreedyTakesTheMostLikelyWhateverTheHistory) {
  const std::vector<float> logits = {0, 5, 1, 9, 2, 3};  // two codebooks of three
  const std::vector<Frame> history(7, Frame{1, 0});
  SamplingOptions options;
  options.greedy = true;
  SamplingStream stream(1);
  EXPECT_EQ(sample_frame(logits, 2, history, options, {}, stream), (Frame{1, 0}));
}

// Id 0 is all that temperature 0.1 and top-k 1 allow; the raw logits allow both ids equally. So id 1 comes
// only from the second draw.
class Ras : public ::testing::Test {
 protected:
  // Share of frames that were drawn again.
  double redrawn(const std::vector<Frame>& history, const RasRule& rule = {}) {
    const std::vector<float> logits = {0.0f, 0.0f};
    SamplingStream stream(3);
    int ones = 0;
    for (int i = 0; i < 2000; ++i) ones += sample_frame(logits, 1, history, options, rule, stream)[0] == 1;
    return 2.0 * ones / 2000;
  }
  Ras() {
    options.temperature = 0.1;
    options.top_k = 1;
    options.top_p = 1.0;
  }
  static std::vector<Frame> frames(const Frame& ids) {
    std::vector<Frame> out;
    for (const auto id : ids) out.push_back({id});
    return out;
  }
  SamplingOptions options;
};

TEST_F(Ras, DrawsAgainFromTheRawLogitsAfterEnoughHits) {
  EXPECT_EQ(redrawn({}), 0);
  EXPECT_EQ(redrawn(frames({0})), 0);
  EXPECT_NEAR(redrawn(frames({0, 0})), 1, 0.15);
  EXPECT_NEAR(redrawn(frames({0, 1, 1, 1, 1, 1, 0})), 1, 0.15);
}

TEST_F(Ras, LooksBackAsFarAsTheWindow) {
  EXPECT_EQ(redrawn(frames({0, 1, 1, 1, 1, 1, 1, 0})), 0);  // the first hit is eight frames ago
  options.ras_window = 8;
  EXPECT_NEAR(redrawn(frames({0, 1, 1, 1, 1, 1, 1, 0})), 1, 0.15);
  options.ras_window = 0;
  EXPECT_EQ(redrawn(frames({0, 0, 0})), 0);
}

TEST_F(Ras, CountsAsManyHitsAsAsked) {
  options.ras_repeats = 3;
  EXPECT_EQ(redrawn(frames({0, 0})), 0);
  EXPECT_NEAR(redrawn(frames({0, 0, 0})), 1, 0.15);
}

TEST_F(Ras, CountsBosAndEosAsTheRuleSays) {
  const RasRule boson{true, /*stream_bos=*/0, /*stream_eos=*/1}, hf{false, 0, 1};
  EXPECT_NEAR(redrawn(frames({0, 0, 0}), boson), 1, 0.15);
  EXPECT_EQ(redrawn(frames({0, 0, 0}), hf), 0);
  EXPECT_EQ(redrawn(frames({0, 0, 0}), RasRule{false, 1, 0}), 0);
  EXPECT_NEAR(redrawn(frames({0, 0, 0}), RasRule{false, 5, 6}), 1, 0.15);
}

TEST_F(Ras, EachCodebookHasItsOwnWindow) {
  const std::vector<float> logits = {0, 0, 0, 0};
  SamplingStream stream(3);
  int first = 0, second = 0;
  for (int i = 0; i < 500; ++i) {
    const Frame frame = sample_frame(logits, 2, {{1, 0}, {1, 0}}, options, {}, stream);
    first += frame[0] == 1;
    second += frame[1] == 1;
  }
  EXPECT_EQ(first, 0);
  EXPECT_GT(second, 150);
}

}  // namespace
}  // namespace higgs
