#include <cmath>

#include "higgs/audio/waveform.h"
#include "higgs/formats/safetensors.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

// soxr is the reference's own resampler; between its builds only the vector width, and with it the order of
// additions, may differ. Measured on x86: no difference at all.
constexpr float kSoxrTolerance = 1.2e-7f;
// The taps are the same floats; the reference adds up 23 products in float, each sum rounded by up to 3e-8
// near 0.5, and here they are added in double. Measured: 2.4e-7.
constexpr float kSincTolerance = 4.8e-7f;

class ResampleClip : public testing::TestWithParam<const char*> {};

TEST_P(ResampleClip, To24kHzAsLibrosaDoes) {
  const std::string name = GetParam();
  const fs::path folder = golden("hf/synthetic");
  const bool flac = name == "word_44k";
  const Waveform wave = read_audio_file(folder / (name + (flac ? ".flac" : ".wav")));
  const std::vector<float> resampled = resample_soxr(wave.samples, wave.sample_rate, 24000);
  const SafetensorsFile expected(folder / ("codec_" + name + "_none.safetensors"));
  const float difference = largest_difference(resampled, expected.floats("wav24k"));
  RecordProperty("difference", std::to_string(difference * 1e9) + "e-9");
  EXPECT_LE(difference, kSoxrTolerance);
}

TEST_P(ResampleClip, From24To16kHzAsTorchaudioDoes) {
  const SafetensorsFile expected(
      golden("hf/synthetic/codec_" + std::string(GetParam()) + "_none.safetensors"));
  const std::vector<float> resampled = resample_sinc(expected.floats("wav24k"), 24000, 16000);
  const float difference = largest_difference(resampled, expected.floats("wav16k"));
  RecordProperty("difference", std::to_string(difference * 1e9) + "e-9");
  EXPECT_LE(difference, kSincTolerance);
}

INSTANTIATE_TEST_SUITE_P(Published, ResampleClip,
                         testing::Values("digits_16k_stereo", "sweep_24k", "word_44k"));

TEST(ResampleSoxr, GivesAsManySamplesAsLibrosa) {
  const std::vector<float> samples(44100, 0.25f);
  const auto length = [&](std::size_t n, int from, int to) {
    return resample_soxr(std::span(samples).first(n), from, to).size();
  };
  EXPECT_EQ(length(1, 44100, 24000), 1u);
  EXPECT_EQ(length(0, 44100, 24000), 0u);
  EXPECT_EQ(length(44100, 44100, 24000), 24001u);
  EXPECT_EQ(length(44099, 44100, 24000), 24000u);
  EXPECT_EQ(length(16001, 16000, 24000), 24002u);
  EXPECT_EQ(length(7, 8000, 24000), 21u);
  EXPECT_EQ(length(33, 22050, 24000), 36u);
  EXPECT_EQ(length(147, 11025, 8000), 107u);
}

TEST(ResampleSoxr, KeepsAConstantInTheMiddle) {
  const std::vector<float> out = resample_soxr(std::vector<float>(22050, 0.5f), 22050, 24000);
  ASSERT_EQ(out.size(), 24001u);  // 22050 * (24000 / 22050.) is just above 24000, in librosa too
  for (std::size_t i = 4000; i < 20000; ++i) ASSERT_NEAR(out[i], 0.5f, 1e-5f) << i;
}

TEST(Resample, ChangesNothingWhenTheRatesAgree) {
  const std::vector<float> samples = {0.1f, -0.2f, 0.3f};
  EXPECT_EQ(resample_soxr(samples, 24000, 24000), samples);
  EXPECT_EQ(resample_sinc(samples, 16000, 16000), samples);
}

TEST(ResampleSinc, GivesTheQuotientRoundedUp) {
  for (const auto& [n, expected] : {std::pair{0, 0}, {1, 1}, {2, 2}, {3, 2}, {4, 3}, {24000, 16000}}) {
    EXPECT_EQ(resample_sinc(std::vector<float>(static_cast<std::size_t>(n), 1.0f), 24000, 16000).size(),
              static_cast<std::size_t>(expected));
  }
}

// Rates without a common factor: one phase per output sample of a second.
TEST(ResampleSinc, KeepsAConstantAtAwkwardRates) {
  const std::vector<float> out = resample_sinc(std::vector<float>(4000, 0.5f), 22051, 16000);
  for (std::size_t i = 100; i < 2700; ++i) ASSERT_NEAR(out[i], 0.5f, 2e-3f) << i;
}

}  // namespace
}  // namespace higgs
