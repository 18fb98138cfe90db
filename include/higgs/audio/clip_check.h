// What can be heard to be wrong with a clip, as numbers; what to make of them is the caller's. Torch-free.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace higgs {

// A sample this close to full scale may have been cut off there; recorders leave a little room below 1.
inline constexpr double kFullScale = 0.999;
// Fewer samples at full scale in a row are a peak that just reaches it, as after normalising.
inline constexpr std::size_t kClippedSamples = 3;
// No hundredth of a second is louder: not even a whisper, which begins at some -45 dB.
inline constexpr double kSilentDb = -50.0;
// So far below the loud parts lies the room, and no longer the voice.
inline constexpr double kPauseDb = -35.0;
// A voice within this of the loud parts is in the middle of a syllable: what fades out at an end is below it.
inline constexpr double kVoiceDb = -20.0;
// How much of a clip's end is looked at for a voice that is cut off.
inline constexpr double kEndSeconds = 0.05;

struct ClipMeasures {
  double seconds = 0.0;
  double peak = 0.0;              // of the samples' absolute values; 1 is full scale
  std::size_t num_clipped = 0;    // stretches of kClippedSamples or more at full scale
  std::optional<double> lufs;     // integrated loudness (EBU R 128); none: silent, or shorter than 0.4 s
  bool is_silent = false;         // by kSilentDb; then nothing below is measured
  double leading_silence = 0.0;   // seconds below kPauseDb
  double trailing_silence = 0.0;  // seconds below kPauseDb
  bool voice_at_end = false;      // in the last kEndSeconds, by kVoiceDb
};

// Of finite mono samples. "Loud" is what a twentieth of the clip's hundredths of a second exceeds.
ClipMeasures measure_clip(std::span<const float> samples, int sample_rate);

}  // namespace higgs
