#include <gtest/gtest.h>

#include "higgs/audio/waveform.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::user_error;

TEST(Probe, SaysTheLengthWithoutDecoding) {
  const test::TemporaryFolder folder;
  write_wav(folder / "a.wav", {std::vector<float>(12000, 0.0F), 8000});
  EXPECT_DOUBLE_EQ(probe_audio_file(folder / "a.wav").seconds, 1.5);
  EXPECT_EQ(probe_audio_file(folder / "a.wav").sample_rate, 8000);
  test::write_text(folder / "b.wav", "no sound");
  EXPECT_NE(user_error([&] { probe_audio_file(folder / "b.wav", "m:1"); }).find("m:1: "), std::string::npos);
  EXPECT_NE(user_error([&] { probe_audio_file(folder / "c.wav"); }).find("no such file"), std::string::npos);
}

}  // namespace
}  // namespace higgs
