#include "higgs/codec/alignment.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "golden_case.h"

namespace higgs {
namespace {

at::Tensor frames(const std::vector<float>& values) {
  return at::tensor(values).unsqueeze(1);
}

// Every path there is, for few frames.
double by_trying_all(const at::Tensor& a, const at::Tensor& b) {
  const auto d = [&](std::int64_t i, std::int64_t j) { return (a[i] - b[j]).norm().item<double>(); };
  const std::function<double(std::int64_t, std::int64_t)> rest = [&](std::int64_t i, std::int64_t j) {
    if (i == a.size(0) - 1 && j == b.size(0) - 1) return 0.0;
    double least = std::numeric_limits<double>::infinity();
    if (i + 1 < a.size(0)) least = std::min(least, d(i + 1, j) + rest(i + 1, j));
    if (j + 1 < b.size(0)) least = std::min(least, d(i, j + 1) + rest(i, j + 1));
    if (i + 1 < a.size(0) && j + 1 < b.size(0))
      least = std::min(least, 2 * d(i + 1, j + 1) + rest(i + 1, j + 1));
    return least;
  };
  return (2 * d(0, 0) + rest(0, 0)) / static_cast<double>(a.size(0) + b.size(0));
}

TEST(AlignedDistance, OfAClipToItselfIsZero) {
  const at::Tensor clip = at::rand({150, 32});
  EXPECT_EQ(aligned_distance(clip, clip), 0.0);
}

TEST(AlignedDistance, DoesNotCountThePace) {
  EXPECT_EQ(aligned_distance(frames({1, 2, 3}), frames({1, 1, 2, 3, 3, 3})), 0.0);
  EXPECT_GT(aligned_distance(frames({1, 2, 3}), frames({1, 3, 2})), 0.1);
}

TEST(AlignedDistance, IsTheMeanOverThePath) {
  EXPECT_DOUBLE_EQ(aligned_distance(at::full({7, 4}, 0.0f), at::full({5, 4}, 1.5f)), 3.0);  // sqrt(4 * 1.5^2)
  // (1,1) to (2,2) aslant: 2 * 1 + 2 * 2 over 4.
  EXPECT_DOUBLE_EQ(aligned_distance(frames({0, 10}), frames({1, 12})), 1.5);
}

TEST(AlignedDistance, IsTheLeastOfAllPaths) {
  for (const auto& [I, J] : {std::pair{1, 1}, {1, 5}, {4, 6}, {6, 5}}) {
    const at::Tensor a = at::rand({I, 3}), b = at::rand({J, 3});
    EXPECT_NEAR(aligned_distance(a, b), by_trying_all(a, b), 1e-6) << I << " " << J;
    EXPECT_NEAR(aligned_distance(a, b), aligned_distance(b, a), 1e-12);
  }
}

// More rows than are made at a time.
TEST(AlignedDistance, OfLongClipsIsTheSameBothWaysRound) {
  const at::Tensor a = at::rand({200, 8}), b = at::rand({65, 8});
  EXPECT_NEAR(aligned_distance(a, b), aligned_distance(b, a), 1e-9);
}

TEST(Latents, AreTheSumOfTheCodebooksVectors) {
  const AudioTokenizer codec(test::source_dir() / "demo/codec");
  Codes codes{codec.num_codebooks(), 2, {}};
  for (std::int64_t k = 0; k < codes.num_codebooks; ++k) {
    codes.values.push_back(static_cast<std::int16_t>(k));
    codes.values.push_back(static_cast<std::int16_t>(k + 7));
  }
  const at::Tensor both = codec.latents(codes);
  ASSERT_EQ(both.size(0), 2);
  // One codebook's change is one vector's: the same wherever the others stand.
  const auto changed = [&](std::int64_t frame, std::int16_t from, std::int16_t to) {
    Codes other = codes;
    other.values[static_cast<std::size_t>(frame)] = from;
    const at::Tensor before = codec.latents(other)[frame];
    other.values[static_cast<std::size_t>(frame)] = to;
    return codec.latents(other)[frame] - before;
  };
  const at::Tensor first = changed(0, 3, 11), second = changed(1, 3, 11);
  EXPECT_GT(first.norm().item<double>(), 1e-3);
  EXPECT_LT((first - second).norm().item<double>(), 1e-5 * both.norm().item<double>());
  EXPECT_EQ(codec.latents({codes.num_codebooks, 0, {}}).sizes(), at::IntArrayRef({0, both.size(1)}));
}

}  // namespace
}  // namespace higgs
