// Sound decoded piece by piece is the sound decoded in one go.
#include "higgs/codec/stream_decoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/paths.h"

namespace higgs {
namespace {

const AudioTokenizer& codec() {
  static const AudioTokenizer opened(test::source_dir() / "demo/codec");
  return opened;
}

Codes some_codes(std::int64_t frames) {
  Codes codes{codec().num_codebooks(), frames, {}};
  for (std::int64_t i = 0; i < codes.num_codebooks * frames; ++i)
    codes.values.push_back(static_cast<std::int16_t>(i * i * 7 % codec().codebook_size()));
  return codes;
}

std::vector<float> in_pieces(const Codes& codes, std::int64_t piece) {
  StreamDecoder decoder(codec());
  std::vector<float> all;
  const auto take = [&](const std::vector<float>& samples) {
    all.insert(all.end(), samples.begin(), samples.end());
  };
  for (std::int64_t begin = 0; begin < codes.num_frames; begin += piece) {
    take(decoder.push(frames_of(codes, begin, std::min(begin + piece, codes.num_frames))));
    // No more is kept back than what later frames could change.
    EXPECT_GE(
        static_cast<std::int64_t>(all.size()),
        (std::min(begin + piece, codes.num_frames) - codec().decoding_context()) * codec().hop_length());
  }
  take(decoder.finish());
  EXPECT_TRUE(decoder.finish().empty());
  return all;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

// Convolutions of another length may sum in another order: 1e-5 is a third of a 16-bit step.
TEST(StreamDecoder, GivesTheSamplesOfTheWholeDecode) {
  const Codes codes = some_codes(90);
  const std::vector<float> whole = codec().decode(codes);
  for (const std::int64_t piece : {1, 7, 25, 90}) {
    EXPECT_LT(largest_difference(in_pieces(codes, piece), whole), 1e-5) << piece;
  }
  EXPECT_LT(largest_difference(in_pieces(some_codes(3), 2), codec().decode(some_codes(3))), 1e-5);
}

TEST(StreamDecoder, WithoutFramesThereIsNoSound) {
  EXPECT_TRUE(StreamDecoder(codec()).finish().empty());
}

// The context is what the convolutions look at, and no more: a change that far off shows, one farther off
// not.
TEST(AudioTokenizer, DecodingContextIsAsFarAsAFrameReaches) {
  const std::int64_t middle = 2 * codec().decoding_context(), frames = 2 * middle + 1,
                     hop = codec().hop_length();
  Codes codes = some_codes(frames);
  const std::vector<float> before = codec().decode(codes);
  for (std::int64_t k = 0; k < codes.num_codebooks; ++k)
    codes.values[static_cast<std::size_t>(k * frames + middle)] ^= 1;
  const std::vector<float> after = codec().decode(codes);
  std::int64_t first = frames, last = -1;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    first = std::min(first, static_cast<std::int64_t>(i) / hop);
    last = static_cast<std::int64_t>(i) / hop;
  }
  EXPECT_GE(first, middle - codec().decoding_context());
  EXPECT_LE(last, middle + codec().decoding_context());
  EXPECT_LE(first, middle - codec().decoding_context() + 2) << "no more than rounding up leaves";
}

TEST(Codes, FramesAreCutAndJoined) {
  const Codes codes{2, 3, {1, 2, 3, 4, 5, 6}};
  Codes joined = frames_of(codes, 0, 1);
  EXPECT_EQ(joined.values, (std::vector<std::int16_t>{1, 4}));
  append_frames(joined, frames_of(codes, 1, 3));
  EXPECT_EQ(joined.values, codes.values);
  Codes none;
  append_frames(none, codes);
  EXPECT_EQ(none.num_codebooks, 2);
  EXPECT_EQ(none.values, codes.values);
}

}  // namespace
}  // namespace higgs
