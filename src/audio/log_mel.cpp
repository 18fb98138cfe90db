#include "higgs/audio/log_mel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "higgs/base/error.h"

namespace higgs {
namespace {

using Complex = std::complex<double>;

constexpr std::int64_t kNumBins = kMelWindow / 2 + 1;
constexpr double kPi = std::numbers::pi;

// Slaney's scale: linear below 1 kHz, logarithmic above.
double mel_of(double hz) {
  return hz < 1000.0 ? hz * 3.0 / 200.0 : 15.0 + std::log(hz / 1000.0) * 27.0 / std::log(6.4);
}
double hz_of(double mel) {
  return mel < 15.0 ? mel * 200.0 / 3.0 : 1000.0 * std::exp((mel - 15.0) * std::log(6.4) / 27.0);
}

// Sample i of a signal of n samples that is mirrored at its ends without repeating them.
std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  if (i < 0) return -i;
  return i < n ? i : 2 * (n - 1) - i;
}

std::int64_t smallest_factor(std::int64_t n) {
  std::int64_t p = 2;
  while (n % p != 0) ++p;
  return p;
}

}  // namespace

LogMel::LogMel(std::int64_t num_mels, std::int64_t num_frames)
    : num_mels_(num_mels), num_frames_(num_frames) {
  HIGGS_ASSERT(num_mels > 0 && num_frames > 1);
  for (std::int64_t i = 0; i < kMelWindow; ++i) {
    const double turn = 2.0 * kPi * static_cast<double>(i) / static_cast<double>(kMelWindow);
    window_.push_back(0.5 - 0.5 * std::cos(turn));
    roots_.push_back(std::polar(1.0, -turn));
  }
  make_filters();
}

// Triangles over neighbouring mel frequencies, each scaled to area 1.
void LogMel::make_filters() {
  const double top = mel_of(kMelSampleRate / 2.0);
  const auto edge = [&](std::int64_t i) {
    return hz_of(top * static_cast<double>(i) / static_cast<double>(num_mels_ + 1));
  };
  for (std::int64_t m = 0; m < num_mels_; ++m) {
    const double low = edge(m), middle = edge(m + 1), high = edge(m + 2);
    Filter filter;
    for (std::int64_t bin = 0; bin < kNumBins; ++bin) {
      const double hz = static_cast<double>(bin) * kMelSampleRate / static_cast<double>(kMelWindow);
      const double height = std::min((hz - low) / (middle - low), (high - hz) / (high - middle));
      if (height <= 0.0) continue;
      if (filter.weights.empty()) filter.begin = bin;
      filter.weights.push_back(static_cast<float>(height * 2.0 / (high - low)));
    }
    filters_.push_back(std::move(filter));
  }
}

// Discrete Fourier transform of n values, `stride` apart in `in`; n divides 400 (Cooley and Tukey 1965).
void LogMel::transform(const Complex* in, Complex* out, std::int64_t n, std::int64_t stride) const {
  if (n == 1) {
    *out = *in;
    return;
  }
  const std::int64_t p = smallest_factor(n), m = n / p;
  for (std::int64_t r = 0; r < p; ++r) transform(in + r * stride, out + r * m, m, stride * p);
  const std::int64_t step = kMelWindow / n;
  Complex terms[5];
  HIGGS_ASSERT(p <= 5);
  for (std::int64_t k = 0; k < m; ++k) {
    for (std::int64_t r = 0; r < p; ++r)
      terms[r] = out[r * m + k] * roots_[static_cast<std::size_t>(r * k * step)];
    for (std::int64_t q = 0; q < p; ++q) {
      Complex sum = terms[0];
      for (std::int64_t r = 1; r < p; ++r) {
        sum += terms[r] * roots_[static_cast<std::size_t>(r * q * m * step % kMelWindow)];
      }
      out[q * m + k] = sum;
    }
  }
}

std::int64_t num_mel_frames(std::int64_t num_samples, std::int64_t num_frames) {
  return std::min(num_frames, (num_samples + kMelHop - 1) / kMelHop);
}

void LogMel::compute(std::span<const float> samples, std::span<float> out) const {
  HIGGS_ASSERT(static_cast<std::int64_t>(out.size()) == num_mels_ * num_frames_);
  const std::int64_t length = num_frames_ * kMelHop;
  const std::int64_t real = std::min(length, static_cast<std::int64_t>(samples.size()));
  std::vector<Complex> frame(static_cast<std::size_t>(kMelWindow)), spectrum(frame.size());
  std::vector<double> power(static_cast<std::size_t>(kNumBins));
  double highest = -10.0;
  for (std::int64_t t = 0; t < num_frames_; ++t) {
    const std::int64_t begin = t * kMelHop - kMelWindow / 2;
    const bool silent = begin >= real && begin + kMelWindow <= length;
    if (!silent) {
      for (std::int64_t i = 0; i < kMelWindow; ++i) {
        const std::int64_t at = mirrored(begin + i, length);
        const double value = at < real ? static_cast<double>(samples[static_cast<std::size_t>(at)]) : 0.0;
        frame[static_cast<std::size_t>(i)] = value * window_[static_cast<std::size_t>(i)];
      }
      transform(frame.data(), spectrum.data(), kMelWindow, 1);
      for (std::size_t bin = 0; bin < power.size(); ++bin) power[bin] = std::norm(spectrum[bin]);
    }
    for (std::int64_t m = 0; m < num_mels_; ++m) {
      const Filter& filter = filters_[static_cast<std::size_t>(m)];
      double energy = 0.0;
      for (std::size_t i = 0; !silent && i < filter.weights.size(); ++i) {
        energy += filter.weights[i] * power[static_cast<std::size_t>(filter.begin) + i];
      }
      const double level = std::log10(std::max(energy, 1e-10));
      highest = std::max(highest, level);
      out[static_cast<std::size_t>(m * num_frames_ + t)] = static_cast<float>(level);
    }
  }
  for (float& value : out) {
    value = static_cast<float>((std::max(static_cast<double>(value), highest - 8.0) + 4.0) / 4.0);
  }
}

}  // namespace higgs
