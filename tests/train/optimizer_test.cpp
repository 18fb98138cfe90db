#include "higgs/train/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace higgs {
namespace {

TEST(CosineLearningRate, WarmsUpFromTheFirstStepAndEndsAtZero) {
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 0, 4, 12, 1.0), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 3, 4, 12, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 4, 4, 12, 1.0), 1.0);
  EXPECT_NEAR(learning_rate(Schedule::kCosine, 8, 4, 12, 2.0), 1.0, 1e-12);  // halfway: half the peak
  EXPECT_NEAR(learning_rate(Schedule::kCosine, 6, 4, 12, 1.0), 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(learning_rate(Schedule::kCosine, 12, 4, 12, 1.0), 0.0, 1e-12);
  EXPECT_NEAR(learning_rate(Schedule::kCosine, 40, 4, 12, 1.0), 0.0, 1e-12);
}

TEST(CosineLearningRate, TakesRunsWithoutWarmupAndRunsOfOneStep) {
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 0, 0, 10, 3.0), 3.0);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 0, 1, 1, 3.0), 3.0);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kCosine, 0, 0, 1, 3.0), 3.0);
}

TEST(LearningRate, GoesDownInALineOrStays) {
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kLinear, 1, 4, 12, 1.0), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kLinear, 4, 4, 12, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kLinear, 10, 4, 12, 2.0), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kLinear, 40, 4, 12, 1.0), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kConstant, 1, 4, 12, 1.0), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(Schedule::kConstant, 11, 4, 12, 2.0), 2.0);
}

TEST(ClipGradient, ScalesToTheNormAndReturnsTheOneBefore) {
  at::Tensor grads = at::full({4}, 3.0, at::kFloat);
  EXPECT_FLOAT_EQ(clip_gradient(grads, 1.5).item<float>(), 6.0f);
  EXPECT_NEAR(grads.norm().item<double>(), 1.5, 1e-5);
  EXPECT_TRUE(grads.eq(grads[0]).all().item<bool>());
}

TEST(ClipGradient, LeavesSmallGradientsAndUnlimitedOnes) {
  at::Tensor grads = at::full({4}, 0.1, at::kFloat);
  const at::Tensor before = grads.clone();
  EXPECT_FLOAT_EQ(clip_gradient(grads, 1.0).item<float>(), 0.2f);
  EXPECT_TRUE(grads.equal(before));
  grads.fill_(100);
  EXPECT_FLOAT_EQ(clip_gradient(grads, 0.0).item<float>(), 200.0f);
  EXPECT_EQ(grads[0].item<float>(), 100.0f);
}

// AdamW in double precision, value by value, as the paper writes it.
struct Plain {
  double value, first = 0, second = 0;
  void step(double gradient, double rate, int t, const AdamWOptions& o) {
    value -= rate * o.weight_decay * value;
    first = o.beta1 * first + (1 - o.beta1) * gradient;
    second = o.beta2 * second + (1 - o.beta2) * gradient * gradient;
    const double corrected = first / (1 - std::pow(o.beta1, t));
    const double root = std::sqrt(second / (1 - std::pow(o.beta2, t)));
    value -= rate * corrected / (root + o.eps);
  }
};

TEST(AdamW, FollowsThePlainFormula) {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1};
  const std::int64_t n = 67;  // no multiple of a vector's width
  at::Tensor values = at::linspace(-1, 1, n), grads = at::zeros({n});
  std::vector<Plain> plain;
  for (std::int64_t i = 0; i < n; ++i) plain.push_back({values[i].item<double>()});
  AdamW optimizer(values, grads, options);
  for (int t = 1; t <= 20; ++t) {
    const double rate = 0.01 * t;
    grads.copy_(at::linspace(-1, 1, n).mul(t % 3 - 1.2).add(0.05));
    for (std::int64_t i = 0; i < n; ++i) {
      plain[static_cast<std::size_t>(i)].step(grads[i].item<double>(), rate, t, options);
    }
    optimizer.step(rate);
  }
  EXPECT_EQ(optimizer.num_steps(), 20);
  for (std::int64_t i = 0; i < n; ++i) {
    const Plain& p = plain[static_cast<std::size_t>(i)];
    // 20 float32 updates of values around 1.
    EXPECT_NEAR(values[i].item<double>(), p.value, 2e-5) << i;
    EXPECT_NEAR(optimizer.first_moment()[i].item<double>(), p.first, 1e-6) << i;
    EXPECT_NEAR(optimizer.second_moment()[i].item<double>(), p.second, 1e-6) << i;
  }
}

// The same bits as an optimizer of its own for each group; what learns at no rate stays.
TEST(AdamW, GroupsLearnAtTheirRates) {
  const AdamWOptions options{.weight_decay = 0.1};
  const auto starts = [] { return at::linspace(-1, 1, 60); };
  at::Tensor values = starts(), grads = at::zeros({60});
  AdamW grouped(values, grads, options, {{0, 20, 1.0}, {20, 30, 0.0}, {30, 50, 4.0}, {50, 60, 1.0}});
  at::Tensor slow = starts(), slow_grads = at::zeros({60}), fast = starts(), fast_grads = at::zeros({60});
  AdamW one(slow, slow_grads, options), other(fast, fast_grads, options);
  for (int t = 1; t <= 5; ++t) {
    for (at::Tensor* each : {&grads, &slow_grads, &fast_grads}) each->copy_(at::linspace(-1, 2, 60).mul(t));
    grouped.step(0.01);
    one.step(0.01);
    other.step(0.04);
  }
  const auto part = [](const at::Tensor& tensor, std::int64_t begin, std::int64_t end) {
    return tensor.narrow(0, begin, end - begin);
  };
  EXPECT_TRUE(part(values, 0, 20).equal(part(slow, 0, 20)));
  EXPECT_TRUE(part(values, 50, 60).equal(part(slow, 50, 60)));
  EXPECT_TRUE(part(values, 30, 50).equal(part(fast, 30, 50)));
  EXPECT_TRUE(part(values, 20, 30).equal(part(starts(), 20, 30)));
  EXPECT_EQ(grouped.num_steps(), 5);
}

TEST(AdamW, NothingMovesWhereTheFlagSaysSo) {
  at::Tensor values = at::linspace(-1.0, 1.0, 50), grads = at::linspace(0.5, -2.0, 50);
  AdamW optimizer(values, grads, {});
  optimizer.step(1e-2, at::zeros({}));
  const at::Tensor before = values.clone(), first = optimizer.first_moment().clone(),
                   second = optimizer.second_moment().clone();
  grads.fill_(std::numeric_limits<float>::quiet_NaN());
  optimizer.step(1e-2, at::ones({}));
  EXPECT_TRUE(values.equal(before));
  EXPECT_TRUE(optimizer.first_moment().equal(first));
  EXPECT_TRUE(optimizer.second_moment().equal(second));
  EXPECT_EQ(optimizer.num_steps(), 1);
  grads.fill_(1.0);
  optimizer.step(1e-2, at::zeros({}));
  EXPECT_FALSE(values.equal(before));
  EXPECT_EQ(optimizer.num_steps(), 2);
}

}  // namespace
}  // namespace higgs
