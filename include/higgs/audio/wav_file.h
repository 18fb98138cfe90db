// A WAV file that grows while its sound is made: mono, 16-bit PCM.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "higgs/base/file.h"

namespace higgs {

class WavFile {
 public:
  // Makes the file, or empties it. After each append() its header says what is there, so that it can be read
  // at any time. RunError naming it, from here and from append().
  WavFile(const fs::path& path, int sample_rate);
  // Onto the program's stdout. The header says that the length isn't known: 0xFFFFFFFF bytes.
  static WavFile on_stdout(int sample_rate);
  ~WavFile();
  WavFile(WavFile&& other) noexcept;
  WavFile(const WavFile&) = delete;

  void append(std::span<const float> samples);  // clipped to [-1, 1]

 private:
  WavFile(int descriptor, std::string name, bool seekable);

  int fd_;
  std::string name_;
  bool seekable_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace higgs
