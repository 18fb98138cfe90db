#include <soxr.h>

#include <cmath>
#include <memory>
#include <utility>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"

namespace higgs {

std::vector<float> resample_soxr(std::span<const float> samples, int from_rate, int to_rate) {
  HIGGS_ASSERT(from_rate > 0 && to_rate > 0);
  if (from_rate == to_rate) return {samples.begin(), samples.end()};
  // librosa's own expression, floating point and all: the exact quotient would differ by one sample where
  // the product rounds up past an integer.
  const double ratio = static_cast<double>(to_rate) / from_rate;
  const auto length = static_cast<std::size_t>(std::ceil(static_cast<double>(samples.size()) * ratio));
  // Zeros where the resampler gives less. One more than is wanted: soxr_output() (0.1.3) reads eight bytes
  // where it is to write, which it takes for a pointer and doesn't use, when room for a single value is left
  // too.
  std::vector<float> out(length + 1);
  const auto finish = [&] {
    out.resize(length);
    return std::move(out);
  };
  if (samples.empty()) return finish();

  soxr_error_t error = nullptr;
  const soxr_io_spec_t format = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const std::unique_ptr<soxr, void (*)(soxr_t)> resampler(
      soxr_create(from_rate, to_rate, 1, &error, &format, &quality, nullptr), soxr_delete);
  if (error != nullptr) throw RunError(std::string("resampling failed: ") + soxr_strerror(error));

  std::size_t produced = 0;
  std::size_t consumed = 0;
  // Once all is in, further calls with no input flush what the filter still holds.
  while (produced < length) {
    std::size_t in = 0;
    std::size_t done = 0;
    const bool flushing = consumed == samples.size();
    error = soxr_process(resampler.get(), flushing ? nullptr : samples.data() + consumed,
                         flushing ? 0 : samples.size() - consumed, &in, out.data() + produced,
                         length - produced, &done);
    if (error != nullptr) throw RunError(std::string("resampling failed: ") + soxr_strerror(error));
    consumed += in;
    produced += done;
    if (flushing && done == 0) break;
  }
  return finish();
}

}  // namespace higgs
