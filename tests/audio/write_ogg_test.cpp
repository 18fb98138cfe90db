#include <gtest/gtest.h>

#include <cmath>

#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;

TEST(WriteOgg, IsTheSameSoundInATenthOfTheBytes) {
  const Waveform wave = read_audio_file(golden("hf/synthetic/digits_24k.wav"));
  const std::string bytes = ogg_bytes(wave.samples, wave.sample_rate, "a.ogg");
  EXPECT_LT(bytes.size(), wave.samples.size() * 2 / 5);
  const Waveform copy = read_audio_bytes(bytes, "a.ogg");
  EXPECT_EQ(copy.sample_rate, wave.sample_rate);
  ASSERT_EQ(copy.samples.size(), wave.samples.size());
  double error = 0.0, power = 0.0;
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    error += std::pow(copy.samples[i] - wave.samples[i], 2.0);
    power += std::pow(wave.samples[i], 2.0);
  }
  EXPECT_LT(error, 0.05 * power);
}

TEST(WriteOgg, TakesALongClipAndClipsWhatIsTooLoud) {
  std::vector<float> samples(24000 * 60, 0.0f);
  samples[100] = 1e30f;
  EXPECT_EQ(read_audio_bytes(ogg_bytes(samples, 24000, "a.ogg"), "a.ogg").samples.size(), samples.size());
}

TEST(WriteOgg, RefusesSamplesThatAreNotFinite) {
  EXPECT_EQ(test::run_error([] {
              ogg_bytes(std::vector<float>{0.0f, NAN}, 24000, "a.ogg");
            }),
            "a.ogg: a sample is not a finite number");
}

}  // namespace
}  // namespace higgs
