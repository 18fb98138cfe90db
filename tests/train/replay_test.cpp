// Replay: the divergence from the base, its gradient, and what it does to a run.
#include "higgs/train/replay.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "higgs/model/lora_linear.h"
#include "support/limited_memory.h"
#include "support/process.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::TinyRun;

class Divergence : public ::testing::Test {
 protected:
  // As LibTorch computes it, with the gradient that autograd finds.
  HeadLoss plain(const at::Tensor& hidden) { return plain(hidden, head->weight()); }
  HeadLoss plain(const at::Tensor& hidden, const at::Tensor& weight) {
    const auto logits = [&](const at::Tensor& x, const at::Tensor& of) {
      return at::linear(x, of).view({x.size(0), targets.size(1), -1});
    };
    const at::Tensor each =
        at::kl_div(at::log_softmax(logits(hidden, weight), -1),
                   at::softmax(logits(base_hidden, base_weight), -1), at::Reduction::None);
    const at::Tensor sums = (each.sum(-1) * targets.ge(0)).sum(0);
    return {sums.dot(weights), sums.detach()};
  }

  TemporaryFolder folder;
  TinyRun run{folder.path()};
  std::shared_ptr<LoraLinear> head = run.model.heads()[0];
  std::int64_t n = 3 + 2 * kLogitsAtATime / 4 / head->out_features();  // three parts
  at::Tensor hidden = at::randn({n, head->in_features()});
  at::Tensor base_hidden = hidden + 0.3 * at::randn_like(hidden);
  at::Tensor base_weight = head->weight() + 0.01 * at::randn_like(head->weight());
  at::Tensor targets = at::randint(-3, 5, {n, run.ids.num_codebooks}, at::kLong);
  at::Tensor weights = at::rand({run.ids.num_codebooks}) / static_cast<double>(n);
};

TEST_F(Divergence, InPartsIsThePlainCompositionsWithItsGradient) {
  at::Tensor x = hidden.clone().requires_grad_(), y = hidden.clone().requires_grad_();
  const HeadLoss expected = plain(x);
  expected.total.backward();
  ASSERT_GT(expected.total.item<double>(), 1e-3);
  for (const bool composed : {false, true}) {
    y.mutable_grad() = at::Tensor();
    const HeadLoss found = head_divergence(y, *head, base_hidden, base_weight, targets, weights, composed);
    found.total.backward();
    EXPECT_NEAR(found.total.item<double>(), expected.total.item<double>(),
                1e-5 * expected.total.item<double>());
    // float32 sums in another order
    EXPECT_LT((found.sums - expected.sums).abs().max().item<double>(),
              1e-5 * expected.sums.max().item<double>());
    EXPECT_LT((y.grad() - x.grad()).norm().item<double>(), 1e-5 * x.grad().norm().item<double>());
  }
}

TEST_F(Divergence, AHeadThatLearnsHasThePlainCompositionsGradient) {
  at::Tensor leaf = (head->weight() * 1.1).set_requires_grad(true);
  plain(hidden, leaf).total.backward();
  const at::Tensor expected = leaf.grad().clone();
  ASSERT_GT(expected.norm().item<double>(), 0.0);
  head->train_weight(leaf);
  for (const bool composed : {false, true}) {
    leaf.mutable_grad() = at::Tensor();
    head_divergence(hidden, *head, base_hidden, base_weight, targets, weights, composed).total.backward();
    EXPECT_LT((leaf.grad() - expected).norm().item<double>(), 1e-5 * expected.norm().item<double>());
  }
}

TEST_F(Divergence, IsNothingFromItself) {
  const HeadLoss found = head_divergence(hidden.clone().requires_grad_(), *head, hidden, head->weight(),
                                         targets, weights, false);
  EXPECT_EQ(found.total.item<double>(), 0.0);
}

// Sum of p_base (log p_base - log p_adapted), which is not the other way round: a base that is sure and an
// adapted model that isn't.
TEST_F(Divergence, GoesFromTheBaseToTheAdapted) {
  const at::Tensor sure = 4.0 * hidden, unsure = 0.0 * hidden;
  const auto total = [&](const at::Tensor& adapted, const at::Tensor& base) {
    return head_divergence(adapted, *head, base, head->weight(), targets, weights, false)
        .total.item<double>();
  };
  base_hidden = sure;
  base_weight = head->weight();
  EXPECT_NEAR(total(unsure, sure), plain(unsure).total.item<double>(), 1e-5 * total(unsure, sure));
  EXPECT_GT(std::abs(total(sure, unsure) / total(unsure, sure) - 1.0), 0.01);
}

class Replay : public ::testing::Test {
 protected:
  // Two samples a step, and two of replay.
  static void prepare(TinyRun& run, double weight) { run.options.replay = {0.5, weight, nullptr}; }
  TemporaryFolder folder;
};

TEST_F(Replay, OfAFreshAdapterTheDivergenceIsNothing) {
  TinyRun run(folder.path());
  prepare(run, 1.0);
  run.make();
  ASSERT_TRUE(run.run());
  ASSERT_TRUE(run.recorder.steps[0].replay.has_value());
  EXPECT_EQ(*run.recorder.steps[0].replay, 0.0);
  for (std::size_t i = 1; i < run.recorder.steps.size(); ++i) EXPECT_GT(*run.recorder.steps[i].replay, 0.0);
}

// What the adapter trains whole is the base's own again for the base's part.
TEST_F(Replay, WithWholeModulesTheBaseIsTheBase) {
  TinyRun run(folder.path());
  prepare(run, 1.0);
  run.lora.modules_to_save = {"audio_lm_head", "embed_audio_tokens"};
  run.make();
  ASSERT_TRUE(run.run());
  EXPECT_EQ(*run.recorder.steps[0].replay, 0.0);
  EXPECT_GT(*run.recorder.steps.back().replay, 0.0);
  MicroBatch micro;
  micro.samples = {0, 1};
  micro.places = {0, 1};
  const PackedBatch batch = make_batch(run.data, micro, run.ids);
  TinyRun untrained(folder.path());
  const at::NoGradGuard no_grad;
  ForwardOptions forward;
  forward.only_targets = true;
  const BaseOutput base = base_output(run.model, *run.adapter, batch);
  EXPECT_TRUE(base.hidden.equal(untrained.model.forward(batch, forward)));
  EXPECT_TRUE(base.audio_head.equal(untrained.model.audio_head()));
  EXPECT_FALSE(base.hidden.equal(run.model.forward(batch, forward))) << "the adapter is on again";
  EXPECT_FALSE(base.audio_head.equal(run.model.audio_head()));
}

TEST_F(Replay, OfWeightZeroIsOnlyMeasured) {
  TinyRun plain(folder / "plain"), measured(folder / "measured"), held(folder / "held");
  prepare(measured, 0.0);
  prepare(held, 20.0);
  for (TinyRun* run : {&plain, &measured, &held}) {
    run->options.max_steps = 12;
    run->make();
    run->run();
  }
  EXPECT_TRUE(measured.adapter->values().equal(plain.adapter->values()));
  EXPECT_EQ(measured.recorder.steps.back().loss.total, plain.recorder.steps.back().loss.total);
  EXPECT_FALSE(plain.recorder.steps.back().replay.has_value());
  EXPECT_LT(*held.recorder.steps.back().replay, 0.5 * *measured.recorder.steps.back().replay);
}

TEST_F(Replay, ResumesBitForBit) {
  TinyRun whole(folder / "whole"), first(folder / "split"), second(folder / "split");
  for (TinyRun* run : {&whole, &first, &second}) {
    prepare(*run, 1.0);
    run->options.replay.share = 0.4;  // with 1 or 2 samples a step
  }
  whole.make();
  whole.run();
  first.make();
  first.run(3);
  second.lora.seed = 99;
  second.make().resume(folder / "split" / "step-000003");
  second.run();
  EXPECT_TRUE(second.adapter->values().equal(whole.adapter->values()));
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(second.recorder.steps[i].replay, whole.recorder.steps[3 + i].replay);
}

// The plain composition of LibTorch's operators, layers included.
TEST_F(Replay, IsTheSameByTheReferencePath) {
  TinyRun fused(folder / "fused"), composed(folder / "composed");
  composed.model.set_reference_path(true);
  for (TinyRun* run : {&fused, &composed}) {
    prepare(*run, 1.0);
    run->make();
    run->run();
  }
  const double expected = *composed.recorder.steps.back().replay;
  EXPECT_NEAR(*fused.recorder.steps.back().replay, expected, 1e-3 * expected);
}

TEST_F(Replay, AMicroBatchThatDoesNotFitIsSplitAsOne) {
  constexpr std::size_t kUnlimited = std::size_t{1} << 59;
  test::LimitedMemory memory;
  TinyRun run(folder.path());
  run.adapter.emplace(run.model, run.lora);
  run.adapter->values().normal_(0.0, 0.05);
  const auto compute = [&](std::size_t limit, std::int64_t& num_splits) {
    GradientComputer gradient(run.model, *run.adapter, SampleSource(run.data, &run.data), run.ids, {},
                              run.ranks);
    const MicroBatch micro{{0, 1, 2, 3}, {0, 1, 2, 3}, true};
    std::vector<LoadedBatch> batches;
    batches.push_back({make_batch(run.data, micro, run.ids), micro});
    memory.set_limit(memory.live() + limit);
    const StepSums sums = gradient.compute(0, std::move(batches));
    memory.set_limit(kUnlimited);
    num_splits = gradient.num_splits();
    EXPECT_EQ(sums.counts.tokens, 0);
    EXPECT_EQ(sums.losses.sums().abs().max().item<double>(), 0.0);
    return run.adapter->grads().clone();
  };
  std::int64_t none = 0, some = 0;
  const std::size_t before = memory.live();
  memory.reset_peak();
  const at::Tensor whole = compute(kUnlimited / 2, none);
  const at::Tensor halves = compute((memory.peak() - before) * 3 / 4, some);
  EXPECT_EQ(none, 0);
  EXPECT_GE(some, 1);
  EXPECT_GT(whole.norm().item<double>(), 0.0);
  EXPECT_LT((halves - whole).norm().item<double>(), 1e-5 * whole.norm().item<double>());
}

}  // namespace
}  // namespace higgs
