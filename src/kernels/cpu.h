// What the CPU twins share: loops compiled for several processors, and values stored as float or bfloat16.
// Loops over features are written so that the compiler turns them into vector code; -fopenmp-simd lets it
// reorder the sums that ask for it.
#pragma once

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>

#define HIGGS_INLINE inline __attribute__((always_inline))

namespace higgs::kernels {

enum class CpuLevel { kAny, kAvx2, kAvx512 };
CpuLevel cpu_level();  // of the processor this runs on

#if defined(__x86_64__)
template <typename Body>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))) void run_avx512(const Body& body,
                                                                                       std::int64_t begin,
                                                                                       std::int64_t end) {
  body(begin, end);
}
template <typename Body>
__attribute__((target("avx2,fma"))) void run_avx2(const Body& body, std::int64_t begin, std::int64_t end) {
  body(begin, end);
}
#endif

// body(begin, end) over parts of [0, count) of at least `grain`, on all threads, compiled for this processor.
// Body: a type whose call operator is HIGGS_INLINE, as all that it calls.
template <typename Body>
void for_rows(std::int64_t count, std::int64_t grain, const Body& body) {
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
#if defined(__x86_64__)
    switch (cpu_level()) {
      case CpuLevel::kAvx512:
        return run_avx512(body, begin, end);
      case CpuLevel::kAvx2:
        return run_avx2(body, begin, end);
      case CpuLevel::kAny:
        break;
    }
#endif
    body(begin, end);
  });
}

// Rows that one thread takes at least, so that a part is worth waking it for.
inline std::int64_t row_grain(std::int64_t num_features) {
  return num_features < 16384 ? 16384 / (num_features > 0 ? num_features : 1) + 1 : 1;
}

HIGGS_INLINE float widen(float value) {
  return value;
}
HIGGS_INLINE float widen(c10::BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.x) << 16);
}

// To the nearest, ties to even, NaN stays NaN.
template <typename T>
HIGGS_INLINE T narrow(float value);
template <>
HIGGS_INLINE float narrow<float>(float value) {
  return value;
}
template <>
HIGGS_INLINE c10::BFloat16 narrow<c10::BFloat16>(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  return c10::BFloat16(static_cast<std::uint16_t>(value != value ? 0x7FC0u : rounded),
                       c10::BFloat16::from_bits());
}
// Rounded to T and widened again: where the composition of torch's operators rounds.
template <typename T>
HIGGS_INLINE float rounded(float value) {
  return widen(narrow<T>(value));
}

// e^x within 1.5 units in the last place; 0 below -87.3, infinity above 88.7. Cephes' expf: x = n ln 2 + r.
HIGGS_INLINE float exp_fast(float x) {
  const float clamped = x < -88.0f ? -88.0f : (x > 89.0f ? 89.0f : x);
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;  // rounds to an integer in the low bits
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // In two steps, so that neither factor leaves the range of a float.
  const int whole = static_cast<int>(n), half = whole >> 1;
  const float first = std::bit_cast<float>((half + 127) << 23);
  const float second = std::bit_cast<float>((whole - half + 127) << 23);
  const float value = p * first * second;
  return x != x ? x : (x < -87.33f ? 0.0f : (x > 88.72f ? std::bit_cast<float>(0x7F800000u) : value));
}

HIGGS_INLINE float sigmoid(float x) {
  return 1.0f / (1.0f + exp_fast(-x));
}

}  // namespace higgs::kernels
