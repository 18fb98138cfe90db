// What evaluation counts: top-1 and top-10 as a plain topk has them, by either path, and sample by sample.
#include "higgs/train/tally.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "higgs/model/lora_linear.h"
#include "higgs/train/evaluate.h"
#include "support/tiny_run.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::TinyRun;

// A head whose logits are the hidden states: an identity, K = D / G.
HeadScores scores_of(const at::Tensor& logits, const at::Tensor& targets, bool composed) {
  LoraLinear head("head", at::eye(logits.size(1)).to(logits.scalar_type()));
  return head_scores(logits, head, targets, composed);
}

TEST(Top10, IsWhatAPlainTopkHas) {
  const std::int64_t n = 300, groups = 2, classes = 40;
  const at::Tensor logits = at::randn({n, groups * classes});
  at::Tensor targets = at::randint(classes, {n, groups}, at::kLong);
  targets[5][1] = kIgnore;
  const at::Tensor among =
      std::get<1>(logits.view({n, groups, classes}).topk(10)).eq(targets.unsqueeze(2)).any(2);
  for (const bool composed : {false, true}) {
    const HeadScores scores = scores_of(logits, targets, composed);
    EXPECT_TRUE(scores.top10.equal(among));
    EXPECT_FALSE(scores.top10[5][1].item<bool>());
    EXPECT_EQ(scores.losses[5][1].item<float>(), 0.0f);
    const std::int64_t hits = scores.top10.sum().item<std::int64_t>();
    EXPECT_GT(hits, n * groups / 10) << "a quarter by chance";
    EXPECT_LT(hits, n * groups / 2);
  }
}

// Twelve that are equal share the first place, and the thirteenth comes behind them all.
TEST(Top10, RanksByHowManyAreGreater) {
  at::Tensor logits = at::full({2, 20}, -1.0f);
  logits.slice(1, 3, 15).fill_(2.0f);
  for (const bool composed : {false, true}) {
    const HeadScores scores = scores_of(logits, at::tensor({14, 16}, at::kLong).view({2, 1}), composed);
    EXPECT_TRUE(scores.top10[0][0].item<bool>());
    EXPECT_FALSE(scores.top10[1][0].item<bool>());
    EXPECT_FALSE(scores.top1[0][0].item<bool>()) << "the first of equals is taken for the most likely";
  }
}

TEST(Top10, EndsBehindTheTenth) {
  std::vector<float> falling;
  for (int i = 0; i < 20; ++i) falling.push_back(static_cast<float>(-i));
  const at::Tensor logits = at::tensor(falling).expand({3, 20}).contiguous();
  for (const bool composed : {false, true}) {
    const at::Tensor hits =
        scores_of(logits, at::tensor({0, 9, 10}, at::kLong).view({3, 1}), composed).top10.flatten();
    EXPECT_TRUE(hits.equal(at::tensor({1, 1, 0}, at::kLong).to(at::kBool)));
  }
}

TEST(Top10, IsNotForNumbersThatAreNone) {
  const at::Tensor logits = at::full({1, 30}, std::numeric_limits<float>::quiet_NaN());
  for (const bool composed : {false, true})
    EXPECT_FALSE(scores_of(logits, at::zeros({1, 1}, at::kLong), composed).top10.item<bool>());
}

class EvaluateBySample : public ::testing::Test {
 protected:
  EvaluateBySample() : run(folder.path()) { run.make(); }
  EvalMetrics by_sample(std::int64_t batch_size, std::vector<Tally>& each) {
    each.assign(run.data.size(), Tally(8));
    return evaluate(run.model, run.data, run.ids, batch_size, {}, true, run.ranks,
                    [&](std::size_t i, const Tally& tally) { each.at(i).add(tally); });
  }
  test::TemporaryFolder folder;
  TinyRun run;
};

TEST_F(EvaluateBySample, TogetherTheyAreAll) {
  std::vector<Tally> each;
  const EvalMetrics all = by_sample(3, each);
  Tally sum(8);
  for (const Tally& tally : each) {
    EXPECT_EQ(tally.samples, 1);
    sum.add(tally);
  }
  const EvalMetrics again = sum.metrics({});
  EXPECT_NEAR(again.loss.total, all.loss.total, 1e-12);
  EXPECT_EQ(again.accuracy, all.accuracy);
  EXPECT_EQ(again.top10, all.top10);
  EXPECT_EQ(again.tokens, all.tokens);
  for (std::size_t k = 0; k < 8; ++k) EXPECT_GE(all.top10[k], all.accuracy[k]);
}

// What is counted for a sample is its own, whichever others are computed beside it.
TEST_F(EvaluateBySample, EachHasItsOwn) {
  std::vector<Tally> alone, together;
  by_sample(1, alone);
  by_sample(5, together);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    const EvalMetrics a = alone[i].metrics({}), b = together[i].metrics({});
    EXPECT_EQ(alone[i].tokens, run.data.length(i));
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_NEAR(a.loss.text, b.loss.text, 1e-6 * a.loss.text + 1e-12) << i;
    EXPECT_NEAR(a.loss.audio, b.loss.audio, 1e-6 * a.loss.audio + 1e-12) << i;
    EXPECT_EQ(alone[i].top10, together[i].top10) << i;
  }
  EXPECT_NE(alone[0].losses, alone[1].losses);
}

// The loss that --reference_path composes, and its counts.
TEST_F(EvaluateBySample, IsTheSameByTheReferencePath) {
  std::vector<Tally> fused, plain;
  by_sample(2, fused);
  run.model.set_reference_path(true);
  by_sample(2, plain);
  for (std::size_t i = 0; i < fused.size(); ++i) {
    EXPECT_EQ(fused[i].top1, plain[i].top1);
    EXPECT_EQ(fused[i].top10, plain[i].top10);
    EXPECT_NEAR(fused[i].metrics({}).loss.total, plain[i].metrics({}).loss.total, 1e-5);
  }
}

}  // namespace
}  // namespace higgs
