#include <algorithm>

#include "args.h"
#include "cpu.h"
#include "higgs/kernels/philox.h"

namespace higgs::kernels {
namespace {

constexpr int kLanes = 16;  // counters worked on at once: one vector of 32-bit words
constexpr int kPerCounter = 8;

// The words of counters (first + lane, position, sample, 0), as philox4x32() gives them, one lane beside the
// other.
struct Lanes {
  std::uint32_t word[4][kLanes];

  HIGGS_INLINE void fill(std::uint32_t first, std::uint32_t position, std::uint32_t sample,
                         std::uint64_t key) {
    for (int i = 0; i < kLanes; ++i) {
      word[0][i] = first + static_cast<std::uint32_t>(i);
      word[1][i] = position;
      word[2][i] = sample;
      word[3][i] = 0;
    }
    auto key0 = static_cast<std::uint32_t>(key);
    auto key1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) {
        const std::uint64_t product0 = static_cast<std::uint64_t>(0xD2511F53u) * word[0][i];
        const std::uint64_t product1 = static_cast<std::uint64_t>(0xCD9E8D57u) * word[2][i];
        word[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ word[1][i] ^ key0;
        word[1][i] = static_cast<std::uint32_t>(product1);
        word[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ word[3][i] ^ key1;
        word[3][i] = static_cast<std::uint32_t>(product0);
      }
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
  }
};

template <typename T, bool kAdd>
struct Dropout {
  const DropoutArgs& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    const std::int64_t D = a.num_features;
    for (std::int64_t row = begin; row < end; ++row) {
      const float* in = a.in + row * D;
      for (std::int64_t first = 0; first < D; first += kLanes * kPerCounter) {
        Lanes lanes;
        lanes.fill(static_cast<std::uint32_t>(first / kPerCounter),
                   static_cast<std::uint32_t>(a.position[row]), static_cast<std::uint32_t>(a.sample[row]),
                   a.key);
        float factor[kLanes * kPerCounter];
        for (int w = 0; w < 4; ++w) {
#pragma omp simd
          for (int i = 0; i < kLanes; ++i) {
            factor[i * kPerCounter + 2 * w] = (lanes.word[w][i] & 0xFFFFu) < a.threshold ? 0.0f : a.scale;
            factor[i * kPerCounter + 2 * w + 1] = (lanes.word[w][i] >> 16) < a.threshold ? 0.0f : a.scale;
          }
        }
        const std::int64_t count = std::min<std::int64_t>(D - first, kLanes * kPerCounter);
        if constexpr (kAdd) {
          T* sum = static_cast<T*>(a.sum) + row * D + first;
#pragma omp simd
          for (std::int64_t j = 0; j < count; ++j) {
            // A select, not a product: what is dropped may be infinite.
            const float value = factor[j] == 0.0f ? 0.0f : in[first + j] * factor[j];
            sum[j] = narrow<T>(widen(sum[j]) + rounded<T>(value));
          }
        } else {
          float* out = a.out + row * D + first;
#pragma omp simd
          for (std::int64_t j = 0; j < count; ++j)
            out[j] = factor[j] == 0.0f ? 0.0f : in[first + j] * factor[j];
        }
      }
    }
  }
};

}  // namespace

void dropout_cpu(const DropoutArgs& a) {
  const std::int64_t grain = row_grain(a.num_features);
  if (a.sum == nullptr) return for_rows(a.num_rows, grain, Dropout<float, false>{a});
  if (a.bf16) return for_rows(a.num_rows, grain, Dropout<c10::BFloat16, true>{a});
  for_rows(a.num_rows, grain, Dropout<float, true>{a});
}

}  // namespace higgs::kernels
