// Log-mel features: properties, and the formula written out. What transformers' feature extractor makes of
// waves is compared in tests/data/whisper_golden_test.cpp.
#include "higgs/audio/log_mel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace higgs {
namespace {

std::vector<float> tone(double hz, std::size_t samples) {
  std::vector<float> wave(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    wave[i] = static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / 16000));
  }
  return wave;
}

std::vector<float> features(const LogMel& mel, std::span<const float> wave) {
  std::vector<float> out(static_cast<std::size_t>(mel.num_mels() * mel.num_frames()));
  mel.compute(wave, out);
  return out;
}

TEST(LogMel, SilenceIsTheFloorEverywhere) {
  const LogMel mel(16, 20);
  for (const float value : features(mel, std::vector<float>(1000))) EXPECT_EQ(value, -1.5f);
  for (const float value : features(mel, {})) EXPECT_EQ(value, -1.5f);
}

TEST(LogMel, CountsFramesThatBeginInTheSound) {
  EXPECT_EQ(num_mel_frames(0, 20), 0);
  EXPECT_EQ(num_mel_frames(1, 20), 1);
  EXPECT_EQ(num_mel_frames(160, 20), 1);
  EXPECT_EQ(num_mel_frames(161, 20), 2);
  EXPECT_EQ(num_mel_frames(99999, 20), 20);
}

// A pure tone has the power that the plain sum of the transform gives, in the filters that reach its bin.
TEST(LogMel, EqualsThePlainSum) {
  const LogMel mel(80, 12);
  const std::vector<float> wave = tone(440.0, 12 * 160);
  const std::vector<float> got = features(mel, wave);
  const std::int64_t t = 5;
  std::vector<double> power;
  for (int bin = 0; bin <= 200; ++bin) {
    double re = 0, im = 0;
    for (int i = 0; i < 400; ++i) {
      const double turn = 2 * std::numbers::pi * i / 400;
      const double x = wave[static_cast<std::size_t>(t * 160 - 200 + i)] * (0.5 - 0.5 * std::cos(turn));
      re += x * std::cos(turn * bin);
      im -= x * std::sin(turn * bin);
    }
    power.push_back(re * re + im * im);
  }
  // Filter 12 of 80 lies below 1 kHz, where the scale is linear: edges at multiples of one width.
  const double width = 200.0 / 3.0 * (15.0 + std::log(8.0) * 27.0 / std::log(6.4)) / 81.0;
  double energy = 0;
  for (int bin = 0; bin <= 200; ++bin) {
    const double distance = std::abs(bin * 40.0 - 13 * width);
    energy += std::max(0.0, 1.0 - distance / width) / width * power[static_cast<std::size_t>(bin)];
  }
  EXPECT_NEAR(got[12 * 12 + t], (std::log10(energy) + 4) / 4, 1e-6);
}

TEST(LogMel, NothingLiesMoreThanEightBelowTheMaximum) {
  const LogMel mel(128, 3000);
  const std::vector<float> got = features(mel, tone(1000.0, 16000));
  const auto [low, high] = std::minmax_element(got.begin(), got.end());
  EXPECT_NEAR(*high - *low, 2.0, 1e-6);
}

TEST(LogMel, CutsWhatIsLonger) {
  const LogMel mel(16, 20);
  const std::vector<float> wave = tone(300.0, 20 * 160 + 777);
  EXPECT_EQ(features(mel, wave), features(mel, std::span(wave).first(20 * 160)));
}

}  // namespace
}  // namespace higgs
