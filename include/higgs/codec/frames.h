// How many frames a clip of a given length becomes, without encoding it: lengths only, no torch.
#pragma once

#include <cstdint>
#include <vector>

namespace higgs {

// How many zeros go on both sides of the acoustic input when the two branches' frame counts differ:
// 480 + 480 in transformers (kHf), 320 + 320 in boson_multimodal (kBoson).
enum class CodecRule { kHf, kBoson };

struct ConvShape {
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // on each side
};

// Length after the convolution; 0 when the input is shorter than the kernel.
std::int64_t conv_length(std::int64_t length, const ConvShape& conv);

// Everything about a codec that decides frame counts.
struct FrameGeometry {
  std::int64_t sample_rate = 24000;
  std::int64_t semantic_sample_rate = 16000;
  std::int64_t hop_length = 960;            // samples at sample_rate per frame
  std::int64_t semantic_step = 2;           // every n-th HuBERT frame is used
  std::vector<ConvShape> acoustic;          // samples -> acoustic frames
  std::vector<ConvShape> semantic;          // 16 kHz samples with their zeros -> HuBERT frames
  std::vector<ConvShape> semantic_encoder;  // used HuBERT frames -> semantic frames
};

// Zeros on each side of HuBERT's input, samples at semantic_sample_rate.
inline constexpr std::int64_t kSemanticPadding = 160;

struct FramePlan {
  std::int64_t num_frames = 0;        // of the codes; 0: the clip is too short
  std::int64_t acoustic_padding = 0;  // zeros on each side of the acoustic input
  std::int64_t num_acoustic = 0;      // frames of each branch; the longer is cut to num_frames
  std::int64_t num_semantic = 0;
};

FramePlan plan_frames(std::int64_t num_samples, const FrameGeometry& geometry, CodecRule rule);
// The fewest samples that give a frame.
std::int64_t min_samples(const FrameGeometry& geometry, CodecRule rule);

}  // namespace higgs
