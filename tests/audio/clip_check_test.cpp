#include "higgs/audio/clip_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace higgs {
namespace {

constexpr int kRate = 24000;

std::vector<float> tone(double seconds, double amplitude, double hertz = 997.0) {
  std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<float>(amplitude *
                                    std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / kRate));
  }
  return samples;
}

std::vector<float> operator+(std::vector<float> a, const std::vector<float>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<float> silence(double seconds) {
  return tone(seconds, 0.0);
}

// EBU Tech 3341, case 1, in one channel instead of two: a sine of 1 kHz at -23 dBFS is 3 dB less than -23
// LUFS.
TEST(ClipCheck, LoudnessIsThatOfTheStandard) {
  const ClipMeasures m = measure_clip(tone(20, std::pow(10.0, -23.0 / 20.0), 1000.0), kRate);
  ASSERT_TRUE(m.lufs.has_value());
  EXPECT_NEAR(*m.lufs, -26.0, 0.1);
}

TEST(ClipCheck, WhatIsTooShortForLoudnessHasNone) {
  EXPECT_FALSE(measure_clip(tone(0.39, 0.3), kRate).lufs.has_value());
  EXPECT_TRUE(measure_clip(tone(0.41, 0.3), kRate).lufs.has_value());
}

TEST(ClipCheck, ClippingIsARunAtFullScale) {
  std::vector<float> loud = tone(1, 0.5);
  EXPECT_EQ(measure_clip(loud, kRate).num_clipped, 0u);
  loud[100] = loud[101] = 1.0F;  // a peak that just reaches it
  EXPECT_EQ(measure_clip(loud, kRate).num_clipped, 0u);
  loud[102] = 1.0F;
  loud[500] = loud[501] = loud[502] = loud[503] = -1.0F;
  const ClipMeasures m = measure_clip(loud, kRate);
  EXPECT_EQ(m.num_clipped, 2u);
  EXPECT_EQ(m.peak, 1.0);
}

TEST(ClipCheck, SilenceIsBelowAWhisper) {
  EXPECT_TRUE(measure_clip(silence(1), kRate).is_silent);
  EXPECT_TRUE(measure_clip(tone(1, 0.004), kRate).is_silent);  // -51 dB
  EXPECT_FALSE(measure_clip(tone(1, 0.005), kRate).is_silent);
}

TEST(ClipCheck, SilenceAtTheEndsIsMeasuredInAQuietRoomToo) {
  const std::vector<float> room = tone(0.5, 0.003, 100.0);  // 40 dB below the voice
  const ClipMeasures m = measure_clip(room + tone(1, 0.3) + room + room, kRate);
  EXPECT_NEAR(m.seconds, 2.5, 1e-9);
  EXPECT_NEAR(m.leading_silence, 0.5, 0.011);
  EXPECT_NEAR(m.trailing_silence, 1.0, 0.011);
  const ClipMeasures noisy = measure_clip(tone(0.5, 0.03) + tone(1, 0.3), kRate);  // 20 dB below
  EXPECT_EQ(noisy.leading_silence, 0.0);
}

TEST(ClipCheck, AVoiceInTheLastFiftyMillisecondsIsFound) {
  EXPECT_TRUE(measure_clip(tone(1, 0.3), kRate).voice_at_end);
  EXPECT_FALSE(measure_clip(tone(1, 0.3) + silence(0.05), kRate).voice_at_end);
  EXPECT_TRUE(measure_clip(tone(1, 0.3) + silence(0.04), kRate).voice_at_end);
  EXPECT_FALSE(measure_clip(tone(1, 0.3) + tone(0.05, 0.02), kRate).voice_at_end) << "it fades out";
}

TEST(ClipCheck, AnyRateAndLengthIsMeasured) {
  EXPECT_EQ(measure_clip({}, kRate).seconds, 0.0);
  const std::vector<float> one = {0.5F};
  for (const int rate : {1000, 8000, 768000}) EXPECT_EQ(measure_clip(one, rate).peak, 0.5) << rate;
}

}  // namespace
}  // namespace higgs
