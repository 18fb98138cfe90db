// What the training loop does with its options, and evaluation.
#include <gmock/gmock.h>

#include "higgs/train/evaluate.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::TinyRun;

TEST(Trainer, CountsStepsFromEpochsAndBatch) {
  const TemporaryFolder folder;
  TinyRun run(folder.path());
  run.options.max_steps = 0;
  run.options.epochs = 2;
  run.options.batch_size = 2;
  run.options.grad_accum = 2;  // 5 samples twice = 10, in steps of 4
  EXPECT_EQ(run.make().total_steps(), 3);
  ASSERT_TRUE(run.run());
  EXPECT_NEAR(run.recorder.steps.back().epoch, 2.0, 1e-12);
  EXPECT_NEAR(run.recorder.steps.front().epoch, 0.8, 1e-12);
}

// The same samples per step give the same training, whether they come at once or one by one.
TEST(Trainer, AccumulationEqualsALargerBatch) {
  const TemporaryFolder folder;
  TinyRun at_once(folder / "a"), one_by_one(folder / "b");
  at_once.options.batch_size = 4;
  one_by_one.options.batch_size = 1;
  one_by_one.options.grad_accum = 4;
  for (TinyRun* run : {&at_once, &one_by_one}) {
    run->options.max_steps = 3;
    run->make();
    ASSERT_TRUE(run->run());
  }
  for (std::size_t i = 0; i < 3; ++i) {
    // AdamW divides by small second moments, so rounding grows a little from step to step.
    const double loss = at_once.recorder.steps[i].loss.total;
    EXPECT_NEAR(one_by_one.recorder.steps[i].loss.total, loss, 1e-5 * loss);
    EXPECT_EQ(one_by_one.recorder.steps[i].tokens, at_once.recorder.steps[i].tokens);
  }
}

TEST(Trainer, LearnsWhatItIsShown) {
  const TemporaryFolder folder;
  TinyRun run(folder.path());
  run.lora.dropout = 0;
  run.options.batch_size = 5;
  run.options.max_steps = 12;
  run.make();
  ASSERT_TRUE(run.run());
  EXPECT_LT(run.recorder.steps.back().loss.total, 0.9 * run.recorder.steps.front().loss.total);
}

// DoRA keeps its norms from one evaluation to the next only as long as the adapter stays the same.
TEST(Trainer, DoraLearnsAndIsEvaluatedAsItStands) {
  const TemporaryFolder folder;
  TinyRun run(folder.path());
  run.lora.use_dora = true;
  run.make();
  std::vector<double> losses;
  const auto evaluated = [](TinyRun& r) {
    return evaluate(r.model, r.data, r.ids, 2, {}, true, r.ranks).loss.total;
  };
  ASSERT_TRUE(run.trainer->run([&] {
    losses.push_back(evaluated(run));
    return false;
  }));
  EXPECT_LT(losses.back(), 0.97 * losses.front());
  fs::create_directory(folder / "adapter");
  run.adapter->save(folder / "adapter");
  TinyRun other(folder / "other");
  const Adapter loaded(other.model, folder / "adapter");
  EXPECT_NEAR(evaluated(other), losses.back(), 1e-6 * losses.back());
}

TEST(Trainer, OtherSeedsTrainDifferently) {
  const TemporaryFolder folder;
  std::vector<double> losses;
  for (const std::uint64_t seed : {1, 2, 1}) {
    TinyRun run(folder / std::to_string(losses.size()));
    run.options.seed = seed;
    run.options.max_steps = 2;
    run.make();
    ASSERT_TRUE(run.run());
    losses.push_back(run.recorder.steps.back().loss.total);
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
}

class Evaluate : public ::testing::Test {
 protected:
  Evaluate() : run(folder.path()) {
    run.lora.dropout = 0.5;  // must not act here
    run.make();
    run.run(2);
  }
  EvalMetrics with_batch(std::int64_t size) {
    return evaluate(run.model, run.data, run.ids, size, {}, true, run.ranks);
  }
  TemporaryFolder folder;
  TinyRun run;
};

TEST_F(Evaluate, DoesNotDependOnTheBatchSize) {
  const EvalMetrics whole = with_batch(5);
  for (const std::int64_t size : {1, 2, 3, 100}) {
    const EvalMetrics parts = with_batch(size);
    // float32 sums in another order
    EXPECT_NEAR(parts.loss.total, whole.loss.total, 1e-6 * whole.loss.total) << size;
    EXPECT_NEAR(parts.loss.text, whole.loss.text, 1e-6 * whole.loss.text) << size;
    EXPECT_EQ(parts.accuracy, whole.accuracy) << size;
    EXPECT_EQ(parts.tokens, whole.tokens) << size;
  }
  EXPECT_EQ(whole.accuracy.size(), 8u);
}

// Without dropout, evaluation of the training set and a training step over it are the same number.
TEST_F(Evaluate, IsTheTrainingLoss) {
  TinyRun other(folder / "other");
  other.lora.dropout = 0;
  other.options.batch_size = 5;
  other.options.max_steps = 1;
  other.make();
  const EvalMetrics before = evaluate(other.model, other.data, other.ids, 2, {}, true, other.ranks);
  ASSERT_TRUE(other.run());
  const LossValues& trained = other.recorder.steps[0].loss;
  EXPECT_NEAR(trained.total, before.loss.total, 1e-6 * before.loss.total);
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_NEAR(trained.codebooks[k], before.loss.codebooks[k], 1e-6 * before.loss.codebooks[k]);
  }
}

}  // namespace
}  // namespace higgs
