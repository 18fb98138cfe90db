// DoRA's arithmetic against the formula written out, with dropout and over a bfloat16 weight; goldens of
// whole models are in hf_golden_test.cpp and tests/train.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>

#include "higgs/model/adapter.h"
#include "higgs/model/lora_linear.h"
#include "higgs/model/lora_weight.h"
#include "support/paths.h"
#include "support/process.h"
#include "support/torch_compare.h"

namespace higgs {
namespace {

using test::golden;
using test::relative_difference;
using test::TemporaryFolder;

constexpr double kScaling = 1.5;

class Dora : public ::testing::Test {
 protected:
  Dora() {
    for (at::Tensor* leaf : {&a, &b, &m}) leaf->set_requires_grad(true);
  }

  // The rows' dropout context; p = 0: none.
  DropoutContext context(double p) const { return {p, 77, &rows}; }

  // x as the module `path` drops it: through a map that adds 1 * I I dropout(x) to nothing.
  at::Tensor dropped(const at::Tensor& x, double p) const {
    LoraLinear identity("layers.0.mlp.up_proj", at::zeros({kIn, kIn}));
    identity.attach(at::eye(kIn), at::eye(kIn), 1.0);
    return identity.forward(x.to(at::kFloat), context(p));
  }

  // peft: y in W's type; all else float32; rounded at the end. The norm takes no gradient.
  at::Tensor written_out(const at::Tensor& x, const at::Tensor& w, double p) const {
    const at::Tensor y = at::linear(x, w), input = p > 0 ? dropped(x, p) : x.to(at::kFloat);
    const at::Tensor whole = w.to(at::kFloat) + kScaling * b.mm(a);
    const at::Tensor ratio = m / at::linalg_vector_norm(whole.detach(), 2, at::IntArrayRef{1});
    const at::Tensor base = p > 0 ? at::linear(input, w.to(at::kFloat)) : y;
    return (y + (ratio - 1) * base + ratio * at::linear(at::linear(input, a), b) * kScaling)
        .to(y.scalar_type());
  }

  // Values and the gradients of x, A, B and m of a sum with uneven weights.
  std::vector<at::Tensor> results(const std::function<at::Tensor(const at::Tensor&)>& forward,
                                  at::ScalarType type) {
    at::Tensor x = input.to(type).detach();
    x.set_requires_grad(true);
    for (const at::Tensor* leaf : {&a, &b, &m}) leaf->mutable_grad() = at::Tensor();
    const at::Tensor out = forward(x);
    (out.to(at::kFloat) * weights).sum().backward();
    return {out.detach(), x.grad(), a.grad(), b.grad(), m.grad()};
  }

  void expect_equal(at::ScalarType type, double p, double tolerance) {
    const at::Tensor w = weight.to(type);
    LoraLinear linear("layers.0.mlp.up_proj", w);
    linear.attach(a, b, kScaling, m);
    const auto ours = results([&](const at::Tensor& x) { return linear.forward(x, context(p)); }, type);
    const auto theirs = results([&](const at::Tensor& x) { return written_out(x, w, p); }, type);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_LT(relative_difference(ours[i], theirs[i]), tolerance) << "result " << i;
    }
  }

  static constexpr std::int64_t kRows = 9, kIn = 24, kOut = 16, kRank = 3;
  at::Tensor weight = at::randn({kOut, kIn}), a = at::randn({kRank, kIn}), b = at::randn({kOut, kRank}),
             m = at::randn({kOut}).abs() + 1, input = at::randn({kRows, kIn}),
             weights = at::randn({kRows, kOut});
  RowIndex rows{at::zeros({kRows}, at::kInt), at::arange(kRows, at::kInt)};
};

// 1e-6: sums of float32 in another order.
TEST_F(Dora, EqualsTheFormula) {
  expect_equal(at::kFloat, 0.0, 1e-6);
}
TEST_F(Dora, UnderDropoutOnlyTheBasesOwnTermKeepsTheWholeInput) {
  expect_equal(at::kFloat, 0.4, 1e-6);
  EXPECT_GT(relative_difference(written_out(input, weight, 0.4), written_out(input, weight, 0.0)), 0.05);
}
// 8e-3: one step of bfloat16, where a sum in another order falls on the other side of a rounding.
TEST_F(Dora, OverABf16WeightComputesInFloat32) {
  expect_equal(at::kBFloat16, 0.0, 8e-3);
  expect_equal(at::kBFloat16, 0.4, 8e-3);
}

TEST_F(Dora, MergedWeightGivesTheSame) {
  const at::NoGradGuard no_grad;
  LoraLinear linear("layers.0.mlp.up_proj", weight);
  linear.attach(a, b, kScaling, m);
  const at::Tensor merged = merged_weight(weight, a, b, kScaling, m);
  EXPECT_LT(relative_difference(at::linear(input, merged), linear.forward(input, context(0))), 1e-6);
  EXPECT_LT(relative_difference(at::linalg_vector_norm(merged, 2, at::IntArrayRef{1}), m), 1e-6);
}

// The norm is kept between forward passes that learn nothing, as long as A and B stay.
TEST_F(Dora, TheNormFollowsTheAdaptersValues) {
  const at::NoGradGuard no_grad;
  LoraLinear linear("layers.0.mlp.up_proj", weight);
  linear.attach(a, b, kScaling, m);
  const at::Tensor before = linear.forward(input, context(0)).clone();
  EXPECT_TRUE(linear.forward(input, context(0)).equal(before));
  b.mul_(2);
  EXPECT_LT(relative_difference(linear.forward(input, context(0)), written_out(input, weight, 0.0)), 1e-6);
  EXPECT_GT(relative_difference(linear.forward(input, context(0)), before), 0.05);
}

HiggsModel& model() {
  static HiggsModel one(golden("hf/model"), at::kFloat, at::kCPU);
  return one;
}

LoraOptions dora_options() {
  LoraOptions options;
  options.r = 4;
  options.use_dora = options.use_rslora = true;
  options.alpha = 6;
  return options;
}

// The flat buffer's windows share its version: what the optimizer does to it is seen.
TEST(NewDoraAdapter, TheNormFollowsTheFlatBuffer) {
  Adapter adapter(model(), dora_options());
  LoraLinear& linear = *model().linears()[3];
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({5, linear.in_features()});
  linear.forward(x, {});
  adapter.values().add_(0.125);
  const at::Tensor want = at::linear(
      x, merged_weight(linear.weight(), linear.a(), linear.b(), linear.scaling(), linear.magnitude()));
  EXPECT_LT(relative_difference(linear.forward(x, {}), want), 1e-6);
}

TEST(NewDoraAdapter, BeginsWithTheMagnitudesOfTheBaseAndChangesNothing) {
  const Adapter adapter(model(), dora_options());
  ASSERT_EQ(adapter.tensors().size(), 3u * 20u);
  EXPECT_EQ(adapter.tensors()[2].key,
            "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector");
  const at::NoGradGuard no_grad;
  for (const auto& linear : model().linears()) {
    EXPECT_EQ(linear->scaling(), 3.0) << "6 / sqrt(4)";
    const at::Tensor x = at::randn({5, linear->in_features()});
    EXPECT_LT(relative_difference(linear->forward(x, {}), at::linear(x, linear->weight())), 1e-6);
  }
}

TEST(NewDoraAdapter, IsSavedAndReadAgain) {
  const TemporaryFolder folder;
  at::Tensor values;
  {
    Adapter adapter(model(), dora_options());
    adapter.values().add_(0.25);
    adapter.save(folder.path());
    values = adapter.values().clone();
  }
  Adapter again(model(), folder.path());
  EXPECT_TRUE(again.config().use_dora && again.config().use_rslora);
  EXPECT_TRUE(again.values().equal(values));
  EXPECT_EQ(model().linears()[0]->scaling(), 3.0);
}

}  // namespace
}  // namespace higgs
