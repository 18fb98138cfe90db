#include "higgs/audio/clip_check.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// Its weighting filter has a corner at 1.7 kHz, which must lie well below half the rate.
constexpr int kLeastRateOfLoudness = 8000;

double ratio_of(double decibels) {
  return std::pow(10.0, decibels / 20.0);
}

double root_mean_square(std::span<const float> samples) {
  double sum = 0.0;
  for (const float v : samples) sum += static_cast<double>(v) * v;
  return samples.empty() ? 0.0 : std::sqrt(sum / static_cast<double>(samples.size()));
}

// Of each hundredth of a second; the last may be shorter.
std::vector<double> levels_of(std::span<const float> samples, int sample_rate) {
  const auto rate = static_cast<std::size_t>(sample_rate);
  std::vector<double> levels;
  for (std::size_t step = 0; step * rate / 100 < samples.size(); ++step) {
    const std::size_t begin = step * rate / 100, end = std::min((step + 1) * rate / 100, samples.size());
    levels.push_back(root_mean_square(samples.subspan(begin, end - begin)));
  }
  return levels;
}

double loud_level(std::vector<double> levels) {
  if (levels.empty()) return 0.0;
  const auto at = levels.begin() + static_cast<std::ptrdiff_t>(levels.size() * 95 / 100);
  std::nth_element(levels.begin(), at, levels.end());
  return *at;
}

std::size_t count_clipped(std::span<const float> samples) {
  std::size_t count = 0, run = 0;
  for (const float v : samples) {
    run = std::abs(v) >= kFullScale ? run + 1 : 0;
    if (run == kClippedSamples) ++count;
  }
  return count;
}

std::optional<double> integrated_loudness(std::span<const float> samples, int sample_rate) {
  if (sample_rate < kLeastRateOfLoudness) return std::nullopt;
  const auto destroy = [](ebur128_state* state) { ebur128_destroy(&state); };
  const std::unique_ptr<ebur128_state, decltype(destroy)> state(
      ebur128_init(1, static_cast<unsigned long>(sample_rate), EBUR128_MODE_I), destroy);
  HIGGS_ASSERT(state != nullptr);
  double lufs = 0.0;
  HIGGS_ASSERT(ebur128_add_frames_float(state.get(), samples.data(), samples.size()) == EBUR128_SUCCESS);
  HIGGS_ASSERT(ebur128_loudness_global(state.get(), &lufs) == EBUR128_SUCCESS);
  return std::isfinite(lufs) ? std::optional(lufs) : std::nullopt;
}

// Seconds of levels below `threshold` before the first that isn't.
template <typename Iterator>
double silence(Iterator begin, Iterator end, double threshold) {
  return 0.01 * static_cast<double>(
                    std::find_if(begin, end, [&](double level) { return level >= threshold; }) - begin);
}

}  // namespace

ClipMeasures measure_clip(std::span<const float> samples, int sample_rate) {
  ClipMeasures out;
  out.seconds = static_cast<double>(samples.size()) / sample_rate;
  for (const float v : samples) out.peak = std::max(out.peak, std::abs(static_cast<double>(v)));
  out.num_clipped = count_clipped(samples);
  const std::vector<double> levels = levels_of(samples, sample_rate);
  const double loudest = levels.empty() ? 0.0 : *std::max_element(levels.begin(), levels.end());
  out.is_silent = loudest < ratio_of(kSilentDb);
  if (out.is_silent) return out;
  out.lufs = integrated_loudness(samples, sample_rate);
  const double loud = loud_level(levels);
  const double pause = loud * ratio_of(kPauseDb);
  out.leading_silence = std::min(out.seconds, silence(levels.begin(), levels.end(), pause));
  out.trailing_silence = std::min(out.seconds, silence(levels.rbegin(), levels.rend(), pause));
  const auto at_end = std::min(samples.size(), static_cast<std::size_t>(kEndSeconds * sample_rate));
  out.voice_at_end = root_mean_square(samples.last(at_end)) >= loud * ratio_of(kVoiceDb);
  return out;
}

}  // namespace higgs
