// What the audio tokenizer makes of a clip: one code per codebook and frame.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

// The audio tokenizer's frame rate: 24 kHz over a hop of 960 samples.
inline constexpr double kFramesPerSecond = 25.0;

// [num_codebooks, num_frames], row-major, values in [0, codebook size).
struct Codes {
  std::int64_t num_codebooks = 0;
  std::int64_t num_frames = 0;
  std::vector<std::int16_t> values;

  std::int16_t at(std::int64_t codebook, std::int64_t frame) const {
    return values[static_cast<std::size_t>(codebook * num_frames + frame)];
  }
};

// Frames [begin, end).
Codes frames_of(const Codes& codes, std::int64_t begin, std::int64_t end);
// `more` behind what is there; as many codebooks, unless there is nothing yet.
void append_frames(Codes& codes, const Codes& more);

// A .safetensors file with integer `codes` [num_codebooks, T]: a clip already encoded. UserError naming the
// path; also when its metadata has an "xxh3_128" that isn't that of the values, as int16.
Codes read_codes(const fs::path& path);
// UserError, `where` in front, unless there are `num_codebooks` of at least one frame and every code lies in
// [0, codebook_size).
void check_codes(const Codes& codes, std::int64_t num_codebooks, std::int64_t codebook_size,
                 const std::string& where);
// Writes int16 `codes` and their hash, atomically.
void write_codes(const fs::path& path, const Codes& codes);

}  // namespace higgs
