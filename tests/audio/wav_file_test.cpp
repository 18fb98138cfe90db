// A WAV file that grows.
#include "higgs/audio/wav_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "support/process.h"

namespace higgs::test {
namespace {

std::vector<float> tone(std::size_t count) {
  std::vector<float> samples(count);
  for (std::size_t i = 0; i < count; ++i) samples[i] = 1.1f * std::sin(0.05f * static_cast<float>(i));
  return samples;
}

TEST(WavFile, CanBeReadAfterEveryPieceAndIsTheWholeFileAtTheEnd) {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.wav";
  const std::vector<float> samples = tone(5000);
  {
    WavFile file(path, 24000);
    EXPECT_EQ(text_of(path), wav_bytes({}, 24000, "")) << "a header of nothing";
    file.append(std::span(samples).first(1200));
    EXPECT_EQ(text_of(path), wav_bytes(std::span(samples).first(1200), 24000, ""));
    EXPECT_EQ(read_audio_file(path).samples.size(), 1200u);
    file.append({});
    file.append(std::span(samples).subspan(1200));
    EXPECT_EQ(text_of(path), wav_bytes(samples, 24000, ""));
  }
  EXPECT_EQ(text_of(path), wav_bytes(samples, 24000, ""));
}

TEST(WavFile, WhatCannotBeWrittenIsNamed) {
  const TemporaryFolder folder;
  try {
    WavFile file(folder / "no/a.wav", 24000);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find((folder / "no/a.wav").string() + ": cannot be written"),
              std::string::npos);
  }
  WavFile file(folder / "a.wav", 24000);
  EXPECT_THROW(file.append(std::vector<float>{0.0f, std::nanf("")}), RunError);
}

}  // namespace
}  // namespace higgs::test
