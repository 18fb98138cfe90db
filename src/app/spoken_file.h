// The WAV that a text becomes, and its codes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "higgs/audio/wav_file.h"
#include "higgs/codec/stream_decoder.h"
#include "narration.h"

namespace higgs {

inline constexpr const char* kStdout = "-";

struct SpokenFileOptions {
  fs::path wav;    // or kStdout, with `stream`
  fs::path codes;  // "": none
  std::size_t num_chunks = 1;
  bool stream = false;  // the WAV grows with the frames; else it appears at the end, whole
};

class SpokenFile {
 public:
  SpokenFile(const AudioTokenizer& codec, SpokenFileOptions options);

  void add(const Codes& frames);
  // Writes what isn't written yet, and says what it is. Without a frame there is no file.
  void finish(const NarrationEnd& end);

 private:
  void take(const std::vector<float>& samples);
  std::string summary(const NarrationEnd& end) const;

  const AudioTokenizer& codec_;
  SpokenFileOptions options_;
  StreamDecoder decoder_;
  Codes codes_;                 // where they are asked for, or decoded in one go
  std::vector<float> samples_;  // where they are not written at once
  std::optional<WavFile> growing_;
};

}  // namespace higgs
