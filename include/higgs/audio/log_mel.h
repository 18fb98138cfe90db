// Log-mel spectrogram as Whisper hears sound (Radford et al. 2022): what transformers'
// WhisperFeatureExtractor makes of 16 kHz mono.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace higgs {

inline constexpr int kMelSampleRate = 16000;     // Hz
inline constexpr std::int64_t kMelHop = 160;     // samples from frame to frame: 100 frames a second
inline constexpr std::int64_t kMelWindow = 400;  // samples of a frame, and length of its transform

// Frames that begin inside so many samples: what the feature extractor's attention mask counts.
std::int64_t num_mel_frames(std::int64_t num_samples, std::int64_t num_frames);

class LogMel {
 public:
  // Features of [num_mels, num_frames]; the released tower: 128 mels, 3000 frames (30 s).
  LogMel(std::int64_t num_mels, std::int64_t num_frames);

  // Writes [num_mels, num_frames] to `out`, row by row. The samples are cut or filled with zeros to
  // num_frames * 160 and mirrored at both ends; power of the periodic Hann window's transform, slaney mel
  // filters (0 to 8 kHz, area 1), log10 of at least 1e-10, nothing below the maximum - 8, (x + 4) / 4.
  // Computed in double.
  void compute(std::span<const float> samples, std::span<float> out) const;

  std::int64_t num_mels() const { return num_mels_; }
  std::int64_t num_frames() const { return num_frames_; }

 private:
  struct Filter {
    std::int64_t begin = 0;  // first frequency bin
    std::vector<double> weights;
  };
  void make_filters();
  void transform(const std::complex<double>* in, std::complex<double>* out, std::int64_t n,
                 std::int64_t stride) const;

  std::int64_t num_mels_, num_frames_;
  std::vector<Filter> filters_;
  std::vector<double> window_;
  std::vector<std::complex<double>> roots_;  // exp(-2 pi i k / 400)
};

}  // namespace higgs
