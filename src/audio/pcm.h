// What whole and growing WAV files share.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace higgs {

inline constexpr std::uint32_t kWavHeaderRest = 36;  // bytes of the header that the RIFF size counts

// Header of a mono 16-bit file. `riff_bytes`: kWavHeaderRest and the samples' bytes.
std::string wav_header(std::uint32_t riff_bytes, std::uint32_t data_bytes, std::uint32_t sample_rate);

// Samples as 16-bit integers, clipped to [-1, 1]. RunError, `name` in front, for one that isn't finite.
void append_pcm(std::string& bytes, std::span<const float> samples, const std::string& name);

}  // namespace higgs
