// A step that doesn't fit into memory is split, and its gradient stays what it was.
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>

#include "higgs/base/error.h"
#include "higgs/train/evaluate.h"
#include "support/limited_memory.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::TinyRun;
using ::testing::HasSubstr;

class OutOfMemory : public ::testing::Test {
 protected:
  OutOfMemory() : run(folder.path()) {
    run.adapter.emplace(run.model, run.lora);
    run.adapter->values().normal_(0.0, 0.05);  // B is zero at first, and A's gradient with it
  }
  GradientComputer computer() { return {run.model, *run.adapter, run.data, run.ids, {}, run.ranks}; }
  // The first samples of the data set as micro-batches of these sizes.
  std::vector<LoadedBatch> batches(const std::vector<std::size_t>& sizes) {
    std::vector<LoadedBatch> all;
    std::size_t next = 0;
    for (const std::size_t size : sizes) {
      MicroBatch micro;
      for (std::size_t i = 0; i < size; ++i, ++next) {
        micro.samples.push_back(next);
        micro.places.push_back(static_cast<std::int64_t>(next));
      }
      all.push_back({make_batch(run.data, micro, run.ids), micro});
    }
    return all;
  }
  struct Computed {
    at::Tensor gradient, sums;
    std::int64_t num_splits;
    std::size_t peak;  // bytes above what was there before
  };
  // `limit`: bytes above what is there before.
  Computed compute(const std::vector<std::size_t>& sizes, std::size_t limit) {
    GradientComputer gradient = computer();
    auto loaded = batches(sizes);
    const std::size_t before = memory.live();
    memory.reset_peak();
    memory.set_limit(before + limit);
    StepSums sums = gradient.compute(3, std::move(loaded));
    const std::size_t peak = memory.peak() - before;
    memory.set_limit(kUnlimited);
    return {run.adapter->grads().clone(), sums.losses.sums().clone(), gradient.num_splits(), peak};
  }
  static void expect_same(const Computed& a, const Computed& b) {
    // float32 sums in another order
    EXPECT_LT((a.gradient - b.gradient).norm().item<double>(), 1e-6 * b.gradient.norm().item<double>());
    EXPECT_LT((a.sums - b.sums).abs().max().item<double>(), 1e-6 * b.sums.max().item<double>());
  }

  static constexpr std::size_t kUnlimited = std::size_t{1} << 59;
  test::LimitedMemory memory;  // before what lives in it
  TemporaryFolder folder;
  TinyRun run;
};

TEST_F(OutOfMemory, SplitsAndComputesTheSameGradient) {
  const Computed whole = compute({5}, kUnlimited);
  ASSERT_EQ(whole.num_splits, 0);
  const Computed halves = compute({5}, whole.peak * 3 / 4);
  EXPECT_GE(halves.num_splits, 1);
  EXPECT_LE(halves.peak, whole.peak * 3 / 4);
  expect_same(halves, whole);
}

// What an earlier micro-batch of the step has added is not counted twice.
TEST_F(OutOfMemory, InALaterMicroBatchToo) {
  const Computed whole = compute({1, 4}, kUnlimited);
  const Computed split = compute({1, 4}, whole.peak * 3 / 4);
  EXPECT_GE(split.num_splits, 1);
  expect_same(split, whole);
}

TEST_F(OutOfMemory, SplitsBeforehandFromThenOn) {
  GradientComputer gradient = computer();
  const Computed whole = compute({5}, kUnlimited);
  auto first = batches({5}), second = batches({5});
  memory.set_limit(memory.live() + whole.peak * 3 / 4);
  gradient.compute(0, std::move(first));
  ASSERT_GT(memory.num_refused(), 0u);
  const std::size_t refused = memory.num_refused();
  gradient.compute(1, std::move(second));
  EXPECT_EQ(memory.num_refused(), refused);
  EXPECT_GT(gradient.num_splits(), 1);
  memory.set_limit(kUnlimited);
}

TEST_F(OutOfMemory, ASampleThatCannotFitIsNamed) {
  GradientComputer gradient = computer();
  auto loaded = batches({2, 3});
  memory.set_limit(memory.live() + (std::size_t{256} << 10));
  std::string said;
  try {
    gradient.compute(6, std::move(loaded));
  } catch (const RunError& error) {
    said = error.what();
  }
  memory.set_limit(kUnlimited);
  EXPECT_THAT(said, HasSubstr("step 7: out of memory with one sample of "));
  EXPECT_THAT(said, HasSubstr("manifest.jsonl:"));
  EXPECT_THAT(said, HasSubstr("--max_tokens "));
}

// Validation is split too, and counts every sample once.
TEST_F(OutOfMemory, ValidationIsSplit) {
  const auto validate = [&] { return evaluate(run.model, run.data, run.ids, 5, {}, true, run.ranks); };
  memory.reset_peak();
  const std::size_t before = memory.live();
  const EvalMetrics whole = validate();
  memory.set_limit(before + (memory.peak() - before) * 3 / 4);
  const EvalMetrics halves = validate();
  EXPECT_GT(memory.num_refused(), 0u);
  EXPECT_NEAR(halves.loss.total, whole.loss.total, 1e-6 * whole.loss.total);
  EXPECT_EQ(halves.tokens, whole.tokens);
  EXPECT_EQ(halves.accuracy, whole.accuracy);
  memory.set_limit(memory.live() + (std::size_t{64} << 10));
  const std::string said = test::run_error([&] { validate(); });
  memory.set_limit(kUnlimited);
  EXPECT_THAT(said, HasSubstr("out of memory with one held-out sample ("));
  EXPECT_THAT(said, HasSubstr("manifest.jsonl:"));
}

// Anything else than memory is not for here.
TEST_F(OutOfMemory, OtherErrorsComeOutAsTheyAre) {
  GradientComputer gradient = computer();
  auto loaded = batches({2});
  loaded[0].packed.text_ids.fill_(std::int64_t{1} << 40);
  EXPECT_ANY_THROW(gradient.compute(0, std::move(loaded)));
  EXPECT_EQ(gradient.num_splits(), 0);
}

// A step that fails before it moved anything: the steps before it are saved.
TEST_F(OutOfMemory, WhatWasDoneIsSaved) {
  run.make();
  const std::string said = test::run_error([&] {
    run.trainer->run([&] {
      if (run.trainer->step() == 3) memory.set_limit(memory.live() + (std::size_t{256} << 10));
      return false;
    });
  });
  memory.set_limit(kUnlimited);
  EXPECT_THAT(said, HasSubstr("step 4: out of memory with one sample of "));
  EXPECT_EQ(run.recorder.checkpoints, (std::vector<fs::path>{folder / "step-000003"}));
  EXPECT_EQ(run.recorder.steps.back().step, 3);
}

}  // namespace
}  // namespace higgs
