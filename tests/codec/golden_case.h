// A clip encoded by the reference, stage by stage, and how our codes may differ from its.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "higgs/audio/waveform.h"
#include "higgs/codec/audio_tokenizer.h"
#include "higgs/formats/safetensors.h"
#include "support/paths.h"

namespace higgs::test {

// Small tensors: more threads only wait for one another, and sums could change with their number. oneDNN adds
// up in another order for each instruction set; the goldens were made with AVX2, and with it the acoustic
// branch equals most of them bit for bit. (With AVX-512 it is 2.7e-5 of the largest value away, codes still
// equal; the reference in single precision is itself 1.9e-5 away from double precision.)
inline const bool kAsTheGoldens = [] {
  at::set_num_threads(1);
  ::setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 0);
  return true;
}();

inline const AudioTokenizer& golden_codec() {
  static const AudioTokenizer codec(golden("hf/codec"));
  return codec;
}

inline std::vector<float> read_at_24k(const fs::path& path) {
  const Waveform wave = read_audio_file(path);
  return resample_soxr(wave.samples, wave.sample_rate, 24000);
}

// Largest difference, as a share of the largest expected value; of silence, the largest difference itself.
inline double relative_difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0;
  double largest = 0;
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(actual[i]) - expected[i]));
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return largest > 0 ? difference / largest : difference;
}

inline std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor contiguous = tensor.contiguous();
  const float* values = contiguous.data_ptr<float>();
  return {values, values + contiguous.numel()};
}

inline Codes golden_codes(const SafetensorsFile& file, const std::string& name = "codes") {
  Codes codes;
  codes.num_codebooks = file.at(name).shape[0];
  codes.num_frames = file.at(name).shape[1];
  for (const std::int64_t value : file.integers(name)) {
    codes.values.push_back(static_cast<std::int16_t>(value));
  }
  return codes;
}

// Codes must agree where the reference's second-best entry is clearly worse at this and every earlier
// codebook of the frame; elsewhere rounding may decide. Records how many differ.
inline void expect_same_codes(const Codes& actual, const SafetensorsFile& file) {
  const Codes expected = golden_codes(file);
  ASSERT_EQ(actual.num_codebooks, expected.num_codebooks);
  ASSERT_EQ(actual.num_frames, expected.num_frames);
  const std::vector<float> margin = file.floats("margin");
  const std::vector<float> best = file.floats("dist_best");
  int ties = 0;
  int differing = 0;
  for (std::int64_t t = 0; t < expected.num_frames; ++t) {
    bool clear = true;
    for (std::int64_t k = 0; k < expected.num_codebooks; ++k) {
      const auto i = static_cast<std::size_t>(k * expected.num_frames + t);
      clear = clear && margin[i] > 1e-4f * best[i];
      if (!clear) ++ties;
      if (actual.at(k, t) == expected.at(k, t)) continue;
      ++differing;
      EXPECT_FALSE(clear) << "codebook " << k << ", frame " << t << ": " << actual.at(k, t)
                          << ", the reference has " << expected.at(k, t);
    }
  }
  testing::Test::RecordProperty("near_ties", ties);
  testing::Test::RecordProperty("differing_codes", differing);
}

}  // namespace higgs::test
