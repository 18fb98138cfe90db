// Each fused operation against the composition of torch's operators that it stands for, forward and backward.
#include "higgs/kernels/layer_ops.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "higgs/kernels/dropout.h"
#include "higgs/kernels/snake.h"

namespace higgs {
namespace {

double relative(const at::Tensor& a, const at::Tensor& b) {
  return at::linalg_vector_norm(a.to(at::kDouble) - b.to(at::kDouble)).item<double>() /
         at::linalg_vector_norm(b.to(at::kDouble)).item<double>();
}

// Float32 sums in another order; bf16 is rounded at the same places, so that only sums close to the middle
// between two values go the other way.
double bound(at::ScalarType type) {
  return type == at::kFloat ? 1e-6 : 2e-4;
}

class LayerOps : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).to(GetParam()); }
};

// As model/layers.h composes it.
at::Tensor composed_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return weight * (wide * at::rsqrt(wide.square().mean(-1, true) + eps)).to(x.scalar_type());
}

struct NormCase {
  at::Tensor x, rows;
  NormWeights weights;
  at::Tensor row_weight;  // [n, D]
};

std::vector<NormCase> norm_cases(at::ScalarType type) {
  std::vector<NormCase> cases;
  for (const std::int64_t D : {1, 7, 64, 100, 515}) {
    const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(type); };
    NormCase all{random({9, D}), {}, {random({D}), {}, {}, 1e-5}, {}};
    all.row_weight = all.weights.weight.expand({9, D});
    cases.push_back(all);
    NormCase by_kind = all;
    by_kind.weights.audio_weight = random({D});
    by_kind.weights.is_audio = at::rand({9, 1}).gt(0.5);
    by_kind.row_weight =
        at::where(by_kind.weights.is_audio, by_kind.weights.audio_weight, by_kind.weights.weight);
    cases.push_back(by_kind);
    NormCase some = by_kind;
    some.rows = at::tensor(std::vector<std::int64_t>{7, 0, 3});
    some.row_weight = by_kind.row_weight.index_select(0, some.rows);
    cases.push_back(some);
  }
  return cases;
}

TEST_P(LayerOps, RmsNormIsTheComposition) {
  for (const NormCase& c : norm_cases(GetParam())) {
    at::Tensor leaf = c.x.clone().set_requires_grad(true);
    const at::Tensor taken = c.rows.defined() ? leaf.index_select(0, c.rows) : leaf;
    const at::Tensor expected = composed_norm(taken, c.row_weight, c.weights.eps);
    const Normed normed = rms_norm(c.x, c.rows, c.weights);
    EXPECT_LT(relative(normed.y, expected), bound(GetParam()));
    EXPECT_TRUE(rms_norm_again(c.x, c.rows, c.weights, normed.rstd).equal(normed.y));

    const at::Tensor d_y = random(expected.sizes());
    expected.backward(d_y);
    const at::Tensor before = random(c.x.sizes());
    at::Tensor d_x = before.clone();
    rms_norm_backward(d_y, c.x, c.rows, c.weights, normed.rstd, d_x);
    // What cancels is of this size: a row of one value has no gradient but what is left of a difference of
    // equals.
    const double scale =
        at::linalg_vector_norm((c.row_weight * d_y).to(at::kFloat) * normed.rstd.unsqueeze(1))
            .item<double>() +
        at::linalg_vector_norm(before.to(at::kFloat)).item<double>();
    const at::Tensor difference = d_x.to(at::kFloat) - (before + leaf.grad()).to(at::kFloat);
    EXPECT_LT(at::linalg_vector_norm(difference).item<double>(),
              (GetParam() == at::kFloat ? 1e-6 : 1e-2) * scale)
        << c.x.sizes();
  }
}

TEST_P(LayerOps, RotationIsTheCompositionAndItsInverseGoesBack) {
  const at::Tensor x = random({5, 3, 12}), half = at::rand({5, 6}) * 6;
  const at::Tensor angle = at::cat({half, half}, 1);
  const at::Tensor cos = angle.cos().to(GetParam()), sin = angle.sin().to(GetParam());
  const at::Tensor turned = at::cat({-x.narrow(-1, 6, 6), x.narrow(-1, 0, 6)}, -1);
  at::Tensor y = x.clone();
  rotate_(y, cos, sin, false);
  EXPECT_LT(relative(y, x * cos.unsqueeze(1) + turned * sin.unsqueeze(1)), bound(GetParam()));
  rotate_(y, cos, sin, true);
  EXPECT_LT(relative(y, x), GetParam() == at::kFloat ? 1e-6 : 1e-2);
}

TEST_P(LayerOps, AttentionOfOnePositionIsTheComposition) {
  for (const std::int64_t length : {1, 7, 300}) {
    const at::Tensor q = random({1, 6, 40}), keys = random({length, 2, 40}), values = random({length, 2, 40});
    const auto heads = [](const at::Tensor& x) {  // in double: [1, H, n, E]
      return x.to(at::kDouble).repeat_interleave(6 / x.size(1), 1).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor expected = at::scaled_dot_product_attention(heads(q), heads(keys), heads(values));
    EXPECT_LT(relative(attend_one(q, keys, values).transpose(0, 1), expected[0]),
              GetParam() == at::kFloat ? 2e-6 : 4e-3);
  }
}

TEST_P(LayerOps, SwigluIsTheComposition) {
  const at::Tensor gate = (random({13, 37}) * 4).set_requires_grad(true);
  const at::Tensor up = random({13, 37}).set_requires_grad(true);
  const at::Tensor expected = at::silu(gate) * up;
  EXPECT_LT(relative(swiglu(gate.detach(), up.detach()), expected), bound(GetParam()));
  const at::Tensor d_out = random({13, 37});
  expected.backward(d_out);
  const SwigluGradients d = swiglu_backward(d_out, gate.detach(), up.detach());
  EXPECT_LT(relative(d.gate, gate.grad()), bound(GetParam()));
  EXPECT_LT(relative(d.up, up.grad()), bound(GetParam()));
}

TEST_P(LayerOps, SwigluHoldsAtTheEndsOfTheRange) {
  const at::Tensor gate = at::tensor({-3e38f, -200.0f, -88.0f, 0.0f, 88.0f, 200.0f, 3e38f}).to(GetParam());
  const at::Tensor up = at::ones({7}).to(GetParam());
  EXPECT_LT(relative(swiglu(gate, up), at::silu(gate)), 1e-6);
  const at::Tensor broken = at::full({1}, std::numeric_limits<float>::quiet_NaN()).to(GetParam());
  EXPECT_TRUE(swiglu(broken, at::ones({1}).to(GetParam())).isnan().item<bool>());
}

TEST_P(LayerOps, RowsAreAddedWhereTheyBelong) {
  const at::Tensor x = random({6, 10}), y = random({2, 10});
  const at::Tensor rows = at::tensor(std::vector<std::int64_t>{4, 1});
  at::Tensor out = x.clone();
  add_rows_(out, rows, y);
  EXPECT_TRUE(out.equal(x.index_add(0, rows, y)));
  at::Tensor all = x.clone();
  add_rows_(all, {}, x);
  EXPECT_TRUE(all.equal(x + x));
}

TEST_P(LayerOps, CrossEntropyIsTheComposition) {
  for (const std::int64_t K : {1, 5, 1026, 5000}) {
    const at::Tensor logits = (random({8, K}) * 3).set_requires_grad(true);
    const at::Tensor targets = (at::rand({8}) * static_cast<double>(K)).to(at::kLong);
    targets[3] = -100;
    const at::Tensor weights = at::tensor({0.5f, 2.0f});
    const at::Tensor expected =
        at::cross_entropy_loss(logits.to(at::kFloat), targets, {}, at::Reduction::None, -100);
    (expected * weights.repeat({4})).sum().backward();
    at::Tensor kept = logits.detach().clone();
    const RowLosses without = cross_entropy_(kept, targets, {});
    EXPECT_TRUE(kept.equal(logits));
    at::Tensor gradient = logits.detach().clone();
    const RowLosses losses = cross_entropy_(gradient, targets, weights);
    EXPECT_TRUE(losses.losses.equal(without.losses));
    EXPECT_LT(at::linalg_vector_norm(losses.losses - expected).item<double>(),
              1e-6 * (1 + at::linalg_vector_norm(expected).item<double>()));
    const double size = at::linalg_vector_norm(logits.grad().to(at::kFloat)).item<double>();
    EXPECT_LT(at::linalg_vector_norm((gradient - logits.grad()).to(at::kFloat)).item<double>(),
              (GetParam() == at::kFloat ? 1e-6 : 5e-3) * (1 + size))
        << K;
    EXPECT_TRUE(losses.correct.eq(logits.argmax(-1).eq(targets)).all().item<bool>());
  }
}

TEST(CrossEntropy, TheFirstOfEqualLogitsIsTheMostLikely) {
  at::Tensor logits = at::zeros({2, 3});
  const RowLosses losses = cross_entropy_(logits, at::tensor(std::vector<std::int64_t>{0, 1}), {});
  EXPECT_EQ(losses.correct[0].item<int>(), 1);
  EXPECT_EQ(losses.correct[1].item<int>(), 0);
}

TEST(CrossEntropy, WhatIsNotFiniteStaysSo) {
  at::Tensor logits = at::tensor({0.0f, std::numeric_limits<float>::quiet_NaN()}).view({1, 2});
  EXPECT_TRUE(
      cross_entropy_(logits, at::tensor(std::vector<std::int64_t>{0}), {}).losses.isnan().item<bool>());
}

TEST_P(LayerOps, DroppedValuesAreAddedAsTheyAreDropped) {
  const at::Tensor x = at::randn({6, 300});
  const RowIndex rows{at::zeros({6}, at::kInt), at::arange(6, at::kInt)};
  const at::Tensor sum = random({6, 300});
  at::Tensor out = sum.clone();
  add_dropped_(out, x, 0.3, 5, rows);
  EXPECT_TRUE(out.equal(sum + dropped(x, 0.3, 5, rows).to(GetParam())));
}

TEST(Snake, IsTheComposition) {
  const at::Tensor alpha = (at::rand({1, 5, 1}) + 0.01) * 3, reciprocal = (alpha + 1e-9).reciprocal();
  for (const double scale : {1e-3, 1.0, 50.0, 1e4}) {
    const at::Tensor x = at::randn({2, 5, 333}) * scale;
    const at::Tensor wide = x.to(at::kDouble);
    // In double, of the same float32 product: for large angles its rounding is all that counts.
    const at::Tensor expected = wide + (x * alpha).to(at::kDouble).sin().square() * reciprocal;
    EXPECT_LT((snake(x, alpha, reciprocal).to(at::kDouble) - expected).abs().max().item<double>(),
              2e-7 * (scale + 100.0 / 3));
  }
  const at::Tensor turned = at::randn({1, 7, 5}).transpose(1, 2);
  EXPECT_LT(relative(snake(turned, alpha, reciprocal), snake(turned.contiguous(), alpha, reciprocal)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Types, LayerOps, ::testing::Values(at::kFloat, at::kBFloat16), [](const auto& type) {
  return std::string(type.param == at::kFloat ? "Float32" : "Bf16");
});

}  // namespace
}  // namespace higgs
