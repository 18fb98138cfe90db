// Convolutions of few channels over many samples, and the snake activation, for training on a CPU: general
// libraries are made for many channels and few positions. All arrays fp32, dense, (batch, channels, samples).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

constexpr std::int64_t kBlock =
    256;  // samples done at once: a block of each channel stays in the first cache

// Samples [begin - pad, begin + kBlock + pad) of every channel, zero outside the signal.
void load(const float* x, std::int64_t channels, std::int64_t samples, std::int64_t begin, std::int64_t pad,
          std::vector<float>& block) {
  const std::int64_t width = kBlock + 2 * pad;
  block.assign(static_cast<std::size_t>(channels * width), 0.0f);
  const std::int64_t first = std::max<std::int64_t>(0, begin - pad),
                     last = std::min(samples, begin + kBlock + pad);
  for (std::int64_t c = 0; c < channels; ++c)
    std::copy(x + c * samples + first, x + c * samples + last,
              block.data() + c * width + first - (begin - pad));
}

}  // namespace

extern "C" {

// y[b, o, t] = bias[o] + sum over i, k of w[o, i, k] x[b, i, t + (k - (taps - 1) / 2) dilation]; `bias` may
// be null.
void conv(const float* x, const float* w, const float* bias, float* y, std::int64_t batch, std::int64_t in,
          std::int64_t out, std::int64_t samples, std::int64_t taps, std::int64_t dilation) {
  const std::int64_t pad = (taps - 1) / 2 * dilation, width = kBlock + 2 * pad;
  const std::int64_t blocks = (samples + kBlock - 1) / kBlock;
#pragma omp parallel
  {
    std::vector<float> block;
#pragma omp for
    for (std::int64_t job = 0; job < batch * blocks; ++job) {
      const std::int64_t b = job / blocks, begin = job % blocks * kBlock;
      load(x + b * in * samples, in, samples, begin, pad, block);
      for (std::int64_t o = 0; o < out; ++o) {
        for (std::int64_t part = 0; part < kBlock && begin + part < samples; part += 64) {
          float sum[64];
          std::fill(sum, sum + 64, bias ? bias[o] : 0.0f);
          for (std::int64_t i = 0; i < in; ++i) {
            for (std::int64_t k = 0; k < taps; ++k) {
              const float weight = w[(o * in + i) * taps + k];
              const float* from = block.data() + i * width + k * dilation + part;
#pragma GCC unroll 4
              for (int t = 0; t < 64; ++t) sum[t] += weight * from[t];
            }
          }
          const std::int64_t count = std::min<std::int64_t>(64, samples - begin - part);
          std::copy(sum, sum + count, y + (b * out + o) * samples + begin + part);
        }
      }
    }
  }
}

// dw[o, i, k] = sum over b, t of dy[b, o, t] x[b, i, t + (k - (taps - 1) / 2) dilation]; dbias[o] of dy[b, o,
// t].
void conv_weight_gradient(const float* x, const float* dy, float* dw, float* dbias, std::int64_t batch,
                          std::int64_t in, std::int64_t out, std::int64_t samples, std::int64_t taps,
                          std::int64_t dilation) {
  const std::int64_t pad = (taps - 1) / 2 * dilation, width = kBlock + 2 * pad;
  const std::int64_t blocks = (samples + kBlock - 1) / kBlock;
  const std::int64_t weights = out * in * taps;
  std::fill(dw, dw + weights, 0.0f);
  std::fill(dbias, dbias + out, 0.0f);
#pragma omp parallel
  {
    std::vector<float> block, dblock, sums(static_cast<std::size_t>(weights + out), 0.0f);
#pragma omp for schedule(static)
    for (std::int64_t job = 0; job < batch * blocks; ++job) {
      const std::int64_t b = job / blocks, begin = job % blocks * kBlock;
      load(x + b * in * samples, in, samples, begin, pad, block);
      load(dy + b * out * samples, out, samples, begin, 0, dblock);
      for (std::int64_t o = 0; o < out; ++o) {
        const float* d = dblock.data() + o * kBlock;
        float total = 0;
        for (std::int64_t t = 0; t < kBlock; ++t) total += d[t];
        sums[static_cast<std::size_t>(weights + o)] += total;
        for (std::int64_t i = 0; i < in; ++i) {
          for (std::int64_t k = 0; k < taps; ++k) {
            const float* from = block.data() + i * width + k * dilation;
            float sum = 0;
            for (std::int64_t t = 0; t < kBlock; ++t) sum += d[t] * from[t];
            sums[static_cast<std::size_t>((o * in + i) * taps + k)] += sum;
          }
        }
      }
    }
#pragma omp critical
    for (std::int64_t j = 0; j < weights + out; ++j)
      (j < weights ? dw[j] : dbias[j - weights]) += sums[static_cast<std::size_t>(j)];
  }
}

// y = x + sin(alpha x)^2 / alpha, one alpha a channel.
void snake(const float* x, const float* alpha, float* y, std::int64_t batch, std::int64_t channels,
           std::int64_t samples) {
#pragma omp parallel for
  for (std::int64_t row = 0; row < batch * channels; ++row) {
    const float a = alpha[row % channels], half = 0.5f / a;
    const float* from = x + row * samples;
    float* to = y + row * samples;
    for (std::int64_t t = 0; t < samples; ++t) to[t] = from[t] + half * (1.0f - std::cos(2.0f * a * from[t]));
  }
}

// dx = dy (1 + sin(2 alpha x)); dalpha[row] for each (batch, channel).
void snake_gradient(const float* x, const float* alpha, const float* dy, float* dx, float* dalpha,
                    std::int64_t batch, std::int64_t channels, std::int64_t samples) {
#pragma omp parallel for
  for (std::int64_t row = 0; row < batch * channels; ++row) {
    const float a = alpha[row % channels];
    const float *from = x + row * samples, *d = dy + row * samples;
    float* to = dx + row * samples;
    float sum = 0;
    for (std::int64_t t = 0; t < samples; ++t) {
      // Two sines, as a sine and a cosine of one angle become a call that isn't vectorized.
      const float sine = std::sin(a * from[t]), twice = std::sin(2.0f * a * from[t]);
      to[t] = d[t] * (1.0f + twice);
      sum += d[t] * (from[t] * twice - sine * sine / a);
    }
    dalpha[row] = sum / a;
  }
}

}  // extern "C"
