#include "higgs/kernels/dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "higgs/kernels/device.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

RowIndex rows_of(const std::vector<std::int32_t>& samples, const std::vector<std::int32_t>& positions) {
  return {at::tensor(samples, at::kInt), at::tensor(positions, at::kInt)};
}

// `n` rows of sample 3, positions from 0.
RowIndex plain_rows(std::int64_t n) {
  return {at::full({n}, 3, at::kInt), at::arange(n, at::kInt)};
}

TEST(Dropout, KeepsAShareOfOneMinusPAndScalesIt) {
  for (const double p : {0.05, 0.3, 0.9}) {
    const std::int64_t n = 1000, features = 256;
    const at::Tensor out = dropout(at::ones({n, features}), p, 17, plain_rows(n));
    const double q = std::round(p * 65536) / 65536;
    const double kept = out.ne(0).to(at::kDouble).mean().item<double>();
    // Five standard deviations of a binomial share; the key is fixed, so this passes always or never.
    EXPECT_NEAR(kept, 1 - p, 5 * std::sqrt(p * (1 - p) / static_cast<double>(n * features))) << p;
    const at::Tensor survivors = out.masked_select(out.ne(0));
    EXPECT_TRUE(survivors.eq(static_cast<float>(1 / (1 - q))).all().item<bool>());
  }
}

// What the header promises, computed value by value.
TEST(Dropout, IsAFunctionOfKeySamplePositionAndFeature) {
  const double p = 0.4;
  const std::uint64_t key = 0x123456789abcdefull;
  const std::vector<std::int32_t> samples = {0, 2, 2}, positions = {5, 0, 900};
  for (const std::int64_t features : {1, 3, 8, 15, 64, 300}) {
    const at::Tensor out = dropout(at::ones({3, features}), p, key, rows_of(samples, positions));
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::int64_t f = 0; f < features; ++f) {
        const Philox4 words =
            philox4x32({{static_cast<std::uint32_t>(f / 8), static_cast<std::uint32_t>(positions[row]),
                         static_cast<std::uint32_t>(samples[row]), 0}},
                       key);
        const std::uint32_t bits = (words.word[f % 8 / 2] >> (f % 2 == 0 ? 0 : 16)) & 0xFFFFu;
        const bool kept = bits >= std::lround(p * 65536);
        EXPECT_EQ(out[static_cast<std::int64_t>(row)][f].item<float>() != 0, kept) << row << " " << f;
      }
    }
  }
}

TEST(Dropout, DoesNotDependOnHowRowsAreSplitOrOrdered) {
  const std::int64_t n = 300, features = 37;
  const at::Tensor x = at::linspace(1, 2, n * features).view({n, features});
  const RowIndex all = {at::arange(n, at::kInt).div(100, "floor").to(at::kInt),
                        at::arange(n, at::kInt).remainder(100)};
  const at::Tensor whole = dropout(x, 0.25, 9, all);
  EXPECT_TRUE(whole.eq(0).any().item<bool>());

  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < n;) {
    const std::int64_t size = std::min<std::int64_t>(1 + begin % 7, n - begin);
    parts.push_back(dropout(x.narrow(0, begin, size), 0.25, 9,
                            {all.sample.narrow(0, begin, size), all.position.narrow(0, begin, size)}));
    begin += size;
  }
  EXPECT_TRUE(at::cat(parts).equal(whole));

  const at::Tensor order = at::arange(n - 1, -1, -1, at::kLong);
  const RowIndex reversed = {all.sample.index_select(0, order), all.position.index_select(0, order)};
  EXPECT_TRUE(dropout(x.index_select(0, order), 0.25, 9, reversed).equal(whole.index_select(0, order)));
}

TEST(Dropout, OtherKeysSamplesAndPositionsGiveOtherMasks) {
  const at::Tensor x = at::ones({1, 4096});
  const at::Tensor mask = dropout(x, 0.5, 1, rows_of({0}, {0}));
  // Unrelated masks agree in half of their places; ten standard deviations are 0.08.
  const auto agreement = [&](const at::Tensor& other) {
    return mask.eq(other).to(at::kDouble).mean().item<double>();
  };
  EXPECT_NEAR(agreement(dropout(x, 0.5, 2, rows_of({0}, {0}))), 0.5, 0.08);
  EXPECT_NEAR(agreement(dropout(x, 0.5, 1, rows_of({1}, {0}))), 0.5, 0.08);
  EXPECT_NEAR(agreement(dropout(x, 0.5, 1, rows_of({0}, {1}))), 0.5, 0.08);
  EXPECT_EQ(agreement(dropout(x, 0.5, 1, rows_of({0}, {0}))), 1.0);
}

TEST(Dropout, BackwardUsesTheSameMask) {
  const std::int64_t n = 20, features = 30;
  at::Tensor x = at::linspace(-1, 1, n * features).view({n, features}).detach().set_requires_grad(true);
  const at::Tensor upstream = at::linspace(2, 3, n * features).view({n, features});
  const at::Tensor out = dropout(x, 0.3, 5, plain_rows(n));
  out.backward(upstream);
  const at::Tensor mask = dropout(at::ones({n, features}), 0.3, 5, plain_rows(n));
  EXPECT_TRUE(mask.eq(0).any().item<bool>());
  EXPECT_TRUE(x.grad().equal(upstream * mask));
}

TEST(Dropout, WithoutProbabilityIsTheIdentity) {
  const at::Tensor x = at::linspace(-1, 1, 12).view({3, 4});
  EXPECT_TRUE(dropout(x, 0.0, 1, plain_rows(3)).equal(x));
}

TEST(Dropout, TakesRowsThatAreNotContiguousInMemory) {
  const at::Tensor x = at::linspace(1, 2, 60).view({10, 6});
  EXPECT_TRUE(
      dropout(x.t(), 0.5, 3, plain_rows(6)).equal(dropout(x.t().contiguous(), 0.5, 3, plain_rows(6))));
}

TEST(Device, CpuIsAlwaysThere) {
  EXPECT_TRUE(open_device("cpu").is_cpu());
}

}  // namespace
}  // namespace higgs
