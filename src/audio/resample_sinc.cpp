#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr double kZeroCrossings = 6.0;  // lowpass_filter_width
constexpr double kRolloff = 0.99;

// One output phase: the taps that are not zero, and where the first lies relative to the block's begin.
struct Phase {
  std::int64_t first = 0;
  std::vector<float> taps;
};

// Taps of output `phase` of every block of `from` inputs and `to` outputs (rates without common factor).
// A Hann-windowed sinc, computed in double and stored in float as torchaudio does.
Phase make_phase(std::int64_t phase, std::int64_t from, std::int64_t to) {
  const double cutoff = static_cast<double>(std::min(from, to)) * kRolloff;
  const auto width =
      static_cast<std::int64_t>(std::ceil(kZeroCrossings * static_cast<double>(from) / cutoff));
  // torchaudio divides integers here, which gives a float.
  const double shift = static_cast<float>(-phase) / static_cast<float>(to);
  const auto center = static_cast<std::int64_t>(std::llround(-shift * static_cast<double>(from)));
  Phase result;
  for (std::int64_t i = std::max(-width, center - width - 1); i < std::min(width + from, center + width + 2);
       ++i) {
    const double t = (shift + static_cast<double>(i) / static_cast<double>(from)) * cutoff;
    if (std::abs(t) >= kZeroCrossings) continue;  // the window is zero there
    if (result.taps.empty()) result.first = i;
    const double window = std::pow(std::cos(t * std::numbers::pi / kZeroCrossings / 2), 2);
    const double angle = t * std::numbers::pi;
    const double sinc = angle == 0 ? 1.0 : std::sin(angle) / angle;
    result.taps.push_back(static_cast<float>(sinc * window * (cutoff / static_cast<double>(from))));
  }
  return result;
}

float filtered(std::span<const float> samples, const Phase& phase, std::int64_t block_begin) {
  const std::int64_t first = block_begin + phase.first;
  const auto num_samples = static_cast<std::int64_t>(samples.size());
  const std::int64_t begin = std::max<std::int64_t>(0, -first);
  const std::int64_t end =
      std::min<std::int64_t>(static_cast<std::int64_t>(phase.taps.size()), num_samples - first);
  double sum = 0;
  for (std::int64_t tap = begin; tap < end; ++tap) {
    sum += static_cast<double>(phase.taps[static_cast<std::size_t>(tap)]) *
           static_cast<double>(samples[static_cast<std::size_t>(first + tap)]);
  }
  return static_cast<float>(sum);
}

}  // namespace

std::vector<float> resample_sinc(std::span<const float> samples, int from_rate, int to_rate) {
  HIGGS_ASSERT(from_rate > 0 && to_rate > 0);
  if (from_rate == to_rate) return {samples.begin(), samples.end()};
  const std::int64_t divisor = std::gcd(from_rate, to_rate);
  const std::int64_t from = from_rate / divisor;
  const std::int64_t to = to_rate / divisor;
  std::vector<Phase> phases;
  for (std::int64_t phase = 0; phase < to; ++phase) phases.push_back(make_phase(phase, from, to));

  const auto length = (static_cast<std::int64_t>(samples.size()) * to + from - 1) / from;
  std::vector<float> out(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < length; ++i) {
    out[static_cast<std::size_t>(i)] =
        filtered(samples, phases[static_cast<std::size_t>(i % to)], i / to * from);
  }
  return out;
}

}  // namespace higgs
