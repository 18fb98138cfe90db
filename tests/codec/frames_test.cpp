#include "higgs/codec/frames.h"

#include <gtest/gtest.h>

#include "higgs/base/json.h"
#include "support/paths.h"

namespace higgs {
namespace {

// The published model's geometry.
FrameGeometry geometry() {
  FrameGeometry g;
  for (const std::int64_t stride : {8, 5, 4, 2, 3})
    g.acoustic.push_back({2 * stride, stride, (stride + 1) / 2});
  const std::vector<std::int64_t> kernels = {10, 3, 3, 3, 3, 2, 2};
  for (const std::int64_t kernel : kernels) g.semantic.push_back({kernel, kernel == 10 ? 5 : 2, 0});
  g.semantic_encoder = {{3, 1, 1}, {3, 1, 1}};
  return g;
}

TEST(Frames, AgreeWithBosonForEveryMeasuredLength) {
  const Json sweep =
      parse_json(read_file(test::golden("boson/codec/length_sweep.json")), "length_sweep.json");
  ASSERT_GT(sweep.size(), 100u);
  int encoded_again = 0;
  for (const Json& row : sweep) {
    const std::int64_t n = row.at("n");
    const FramePlan plan = plan_frames(n, geometry(), CodecRule::kBoson);
    EXPECT_EQ(plan.num_frames > 0, row.at("ok").get<bool>()) << n;
    if (!row.at("ok")) continue;
    EXPECT_EQ(plan.num_frames, row.at("codes")) << n;
    EXPECT_EQ(plan.num_semantic, row.at("semantic")) << n;
    EXPECT_EQ(plan.num_acoustic, row.at("acoustic_final")) << n;
    EXPECT_EQ(plan.acoustic_padding, row.at("reencoded").get<bool>() ? 320 : 0) << n;
    encoded_again += row.at("reencoded").get<bool>();
  }
  EXPECT_GT(encoded_again, 10);
}

TEST(Frames, FollowTransformersFormula) {
  for (std::int64_t n = 119; n < 30000; ++n) {
    const FramePlan plan = plan_frames(n, geometry(), CodecRule::kHf);
    ASSERT_EQ(plan.num_frames, (n - 119) / 960 + 1) << n;
    ASSERT_EQ(plan.num_acoustic, plan.num_semantic) << n;
    ASSERT_TRUE(plan.acoustic_padding == 0 || plan.acoustic_padding == 480) << n;
  }
}

TEST(Frames, KnowTheShortestClip) {
  EXPECT_EQ(min_samples(geometry(), CodecRule::kHf), 119);
  const std::int64_t boson = min_samples(geometry(), CodecRule::kBoson);
  EXPECT_EQ(boson, 632);  // the sweep fails at 628 and works at 640
  EXPECT_EQ(plan_frames(boson - 1, geometry(), CodecRule::kBoson).num_frames, 0);
  EXPECT_EQ(plan_frames(0, geometry(), CodecRule::kHf).num_frames, 0);
}

TEST(Frames, CountConvolutionsAsTheFrameworkDoes) {
  EXPECT_EQ(conv_length(10, {3, 1, 1}), 10);
  EXPECT_EQ(conv_length(10, {4, 2, 0}), 4);
  EXPECT_EQ(conv_length(3, {4, 2, 0}), 0);
  EXPECT_EQ(conv_length(0, {3, 1, 8}), 0);
}

}  // namespace
}  // namespace higgs
