#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "pcm.h"

namespace higgs {
namespace {

template <typename Integer>
void append(std::string& bytes, Integer value) {
  using Unsigned = std::make_unsigned_t<Integer>;
  const auto bits = static_cast<Unsigned>(value);
  for (std::size_t i = 0; i < sizeof bits; ++i) bytes += static_cast<char>((bits >> (8 * i)) & 0xFF);
}

}  // namespace

std::string wav_header(std::uint32_t riff_bytes, std::uint32_t data_bytes, std::uint32_t sample_rate) {
  std::string bytes = "RIFF";
  append<std::uint32_t>(bytes, riff_bytes);
  bytes += "WAVEfmt ";
  append<std::uint32_t>(bytes, 16);
  append<std::uint16_t>(bytes, 1);  // PCM
  append<std::uint16_t>(bytes, 1);  // channels
  append<std::uint32_t>(bytes, sample_rate);
  append<std::uint32_t>(bytes, sample_rate * 2);
  append<std::uint16_t>(bytes, 2);   // bytes per frame
  append<std::uint16_t>(bytes, 16);  // bits per sample
  bytes += "data";
  append<std::uint32_t>(bytes, data_bytes);
  return bytes;
}

void append_pcm(std::string& bytes, std::span<const float> samples, const std::string& name) {
  bytes.reserve(bytes.size() + samples.size() * 2);
  for (const float sample : samples) {
    if (!std::isfinite(sample)) throw RunError(name + ": a sample is not a finite number");
    // Times 32768, as reading divides by it: a 16-bit clip read and written is the same clip.
    const double value = std::clamp(static_cast<double>(sample) * 32768.0, -32768.0, 32767.0);
    append(bytes, static_cast<std::int16_t>(std::lrint(value)));
  }
}

std::string wav_bytes(std::span<const float> samples, int sample_rate, const std::string& name) {
  HIGGS_ASSERT(sample_rate > 0);
  if (samples.size() > (std::numeric_limits<std::uint32_t>::max() - 64) / 2) {
    throw RunError(name + ": too long for a WAV file");
  }
  const auto data_bytes = static_cast<std::uint32_t>(samples.size() * 2);
  std::string bytes =
      wav_header(kWavHeaderRest + data_bytes, data_bytes, static_cast<std::uint32_t>(sample_rate));
  append_pcm(bytes, samples, name);
  return bytes;
}

void write_wav(const fs::path& path, const Waveform& wave) {
  write_file_atomically(path, wav_bytes(wave.samples, wave.sample_rate, path.string()));
}

}  // namespace higgs
