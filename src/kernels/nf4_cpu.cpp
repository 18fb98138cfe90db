#include "higgs/kernels/nf4.h"

#include "args.h"
#include "cpu.h"
#include "nf4_levels.h"

namespace higgs::kernels {
namespace {

constexpr int kBlock = static_cast<int>(kNf4Block);
constexpr float kLevels[16] = {HIGGS_NF4_LEVELS};

template <typename T>
struct Quantize {
  const Nf4Args& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    float between[15];
    for (int i = 0; i < 15; ++i) between[i] = (kLevels[i] + kLevels[i + 1]) / 2.0f;
    for (std::int64_t block = begin; block < end; ++block) {
      const T* in = static_cast<const T*>(a.in) + block * kBlock;
      float values[kBlock];
      float largest = 0.0f;
#pragma omp simd reduction(max : largest)
      for (int i = 0; i < kBlock; ++i) {
        values[i] = widen(in[i]);
        const float magnitude = values[i] < 0.0f ? -values[i] : values[i];
        largest = magnitude > largest ? magnitude : largest;
      }
      a.absmax[block] = largest;
      const float scale = largest > 0.0f ? 1.0f / largest : 0.0f;
      int code[kBlock] = {};
      for (int level = 0; level < 15; ++level) {
#pragma omp simd
        for (int i = 0; i < kBlock; ++i) code[i] += values[i] * scale > between[level] ? 1 : 0;
      }
      for (int i = 0; i < kBlock; i += 2) {
        a.codes[(block * kBlock + i) / 2] = static_cast<std::uint8_t>(code[i] << 4 | code[i + 1]);
      }
    }
  }
};

template <typename T>
struct Dequantize {
  const Nf4Args& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t block = begin; block < end; ++block) {
      T* out = static_cast<T*>(a.out) + block * kBlock;
      const std::uint8_t* codes = a.codes + block * kBlock / 2;
      float levels[16];
      for (int i = 0; i < 16; ++i) levels[i] = rounded<T>(kLevels[i] * a.absmax[block]);
#pragma omp simd
      for (int i = 0; i < kBlock / 2; ++i) {
        out[2 * i] = narrow<T>(levels[codes[i] >> 4]);
        out[2 * i + 1] = narrow<T>(levels[codes[i] & 15]);
      }
    }
  }
};

constexpr std::int64_t kGrain = 256;  // blocks

}  // namespace

void quantize_nf4_cpu(const Nf4Args& a) {
  if (a.bf16) return for_rows(a.num_blocks, kGrain, Quantize<c10::BFloat16>{a});
  for_rows(a.num_blocks, kGrain, Quantize<float>{a});
}

void dequantize_nf4_cpu(const Nf4Args& a) {
  if (a.bf16) return for_rows(a.num_blocks, kGrain, Dequantize<c10::BFloat16>{a});
  for_rows(a.num_blocks, kGrain, Dequantize<float>{a});
}

}  // namespace higgs::kernels
