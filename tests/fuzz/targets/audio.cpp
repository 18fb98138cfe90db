// A clip's bytes, decoded and resampled. The last byte says which part of it is wanted.
#include <cmath>
#include <span>

#include "../fuzz_target.h"
#include "higgs/audio/waveform.h"

namespace higgs::fuzz {
namespace {

constexpr std::size_t kResampled = 1U << 18;  // the resamplers look at nothing but numbers: some are enough

ClipRange range_of(unsigned char choice) {
  ClipRange range;
  if ((choice & 1U) != 0) range.offset = (choice >> 2) / 100.0;
  if ((choice & 2U) != 0) range.duration = (choice >> 2) / 50.0;
  return range;
}

}  // namespace

void fuzz_audio(std::string_view bytes) {
  const auto choice = bytes.empty() ? 0 : static_cast<unsigned char>(bytes.back());
  refused([&] {
    const Waveform wave = read_audio_bytes(bytes, "clip", range_of(choice), "m.jsonl:1");
    require(!wave.samples.empty() && wave.samples.size() <= static_cast<std::size_t>(kMaxClipSamples),
            "a clip of no sensible length");
    for (const float value : wave.samples) require(std::isfinite(value), "a sample that is no number");
    const std::span<const float> some(wave.samples.data(), std::min(wave.samples.size(), kResampled));
    const auto at24 = resample_soxr(some, wave.sample_rate, 24000);
    keep(resample_sinc(at24, 24000, 16000));
  });
}

}  // namespace higgs::fuzz
