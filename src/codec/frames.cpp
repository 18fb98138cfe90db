#include "higgs/codec/frames.h"

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::int64_t after(std::int64_t length, const std::vector<ConvShape>& convs) {
  for (const ConvShape& conv : convs) length = conv_length(length, conv);
  return length;
}

std::int64_t semantic_frames(std::int64_t num_samples, const FrameGeometry& g) {
  const std::int64_t resampled = (num_samples * g.semantic_sample_rate + g.sample_rate - 1) / g.sample_rate;
  const std::int64_t frames = after(resampled + 2 * kSemanticPadding, g.semantic);
  return after((frames + g.semantic_step - 1) / g.semantic_step, g.semantic_encoder);
}

}  // namespace

std::int64_t conv_length(std::int64_t length, const ConvShape& conv) {
  const std::int64_t room = length + 2 * conv.padding - conv.kernel;
  return length <= 0 || room < 0 ? 0 : room / conv.stride + 1;
}

FramePlan plan_frames(std::int64_t num_samples, const FrameGeometry& g, CodecRule rule) {
  FramePlan plan;
  plan.num_semantic = semantic_frames(num_samples, g);
  plan.num_acoustic = after(num_samples, g.acoustic);
  // boson_multimodal really encodes once before it compares, so that pass must be possible.
  if (rule == CodecRule::kBoson && plan.num_acoustic == 0) return plan;
  if (plan.num_acoustic != plan.num_semantic) {
    plan.acoustic_padding = rule == CodecRule::kHf ? g.hop_length / 2 : kSemanticPadding * g.semantic_step;
    plan.num_acoustic = after(num_samples + 2 * plan.acoustic_padding, g.acoustic);
  }
  plan.num_frames = std::min(plan.num_acoustic, plan.num_semantic);
  return plan;
}

std::int64_t min_samples(const FrameGeometry& geometry, CodecRule rule) {
  // A clip of 100 frames is long enough for any geometry that can give frames at all.
  const std::int64_t limit = 100 * geometry.hop_length;
  for (std::int64_t n = 1; n <= limit; ++n) {
    if (plan_frames(n, geometry, rule).num_frames > 0) return n;
  }
  return limit;
}

}  // namespace higgs
