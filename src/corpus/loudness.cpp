#include "higgs/corpus/loudness.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "higgs/audio/waveform.h"

namespace higgs {
namespace {

constexpr double kStep = 0.01;
constexpr double kPart = 600.0;

}  // namespace

Loudness::Loudness(const fs::path& recording, double seconds, const std::string& where) {
  for (double begin = 0.0; begin < seconds - kStep; begin += kPart) {
    ClipRange range{begin, std::nullopt};
    if (seconds - begin > kPart) range.duration = kPart;
    const Waveform wave = read_audio_file(recording, range, where);
    levels_.resize(static_cast<std::size_t>(std::lround(begin / kStep)), 0.0F);
    const auto rate = static_cast<std::size_t>(wave.sample_rate);
    for (std::size_t step = 0; step * rate / 100 < wave.samples.size(); ++step) {
      const std::size_t first = step * rate / 100;
      const std::size_t last = std::min((step + 1) * rate / 100, wave.samples.size());
      double sum = 0.0;
      for (std::size_t k = first; k < last; ++k)
        sum += static_cast<double>(wave.samples[k]) * wave.samples[k];
      levels_.push_back(static_cast<float>(std::sqrt(sum / static_cast<double>(last - first))));
    }
  }
  if (levels_.empty()) return;
  mean_ = static_cast<float>(std::accumulate(levels_.begin(), levels_.end(), 0.0) /
                             static_cast<double>(levels_.size()));
}

QuietPlace Loudness::quietest(double begin, double end) const {
  const double middle = (begin + end) / 2.0;
  const auto size = static_cast<std::ptrdiff_t>(levels_.size());
  const auto first = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(begin / kStep));
  const auto last = std::min<std::ptrdiff_t>(size - 2, static_cast<std::ptrdiff_t>(end / kStep));
  QuietPlace best{middle, 1.0};
  float best_level = std::numeric_limits<float>::infinity();
  for (std::ptrdiff_t i = first; i <= last; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const float level = (levels_[k - 1] + levels_[k] + levels_[k + 1]) / 3.0F;
    const double time = (static_cast<double>(i) + 0.5) * kStep;
    const bool is_nearer = std::abs(time - middle) < std::abs(best.time - middle);
    if (level < best_level || (level == best_level && is_nearer)) {
      best_level = level;
      best.time = time;
    }
  }
  if (mean_ > 0.0F && first <= last) best.level = std::min(1.0F, best_level / mean_);
  best.time = std::clamp(best.time, begin, end);
  return best;
}

}  // namespace higgs
