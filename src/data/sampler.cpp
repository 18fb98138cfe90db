#include "higgs/data/sampler.h"

#include <numeric>
#include <utility>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {

Sampler::Sampler(std::size_t num_samples, std::uint64_t seed) : num_samples_(num_samples), seed_(seed) {
  HIGGS_ASSERT(num_samples > 0);
}

std::size_t Sampler::at(std::uint64_t position) {
  const std::uint64_t epoch = position / num_samples_;
  if (epoch != epoch_) shuffle(epoch);
  return order_[position % num_samples_];
}

// Fisher-Yates with Philox: std::shuffle differs between standard libraries.
void Sampler::shuffle(std::uint64_t epoch) {
  epoch_ = epoch;
  order_.resize(num_samples_);
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const std::uint64_t key = mix_key(mix_key(seed_, 0x5A3B1E), epoch);
  for (std::size_t i = num_samples_; i > 1; --i) {
    const Philox4 words =
        philox4x32({{static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}}, key);
    const std::uint64_t random = static_cast<std::uint64_t>(words.word[0]) << 32 | words.word[1];
    std::swap(order_[i - 1], order_[random % i]);
  }
}

}  // namespace higgs
