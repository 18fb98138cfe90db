#include "higgs/data/sampler.h"

#include <cmath>
#include <numeric>
#include <utility>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

constexpr int kRounds = 8;

std::uint64_t random_number(std::uint64_t counter, std::uint32_t round, std::uint64_t key) {
  const Philox4 words = philox4x32(
      {{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), round, 0}}, key);
  return static_cast<std::uint64_t>(words.word[0]) << 32 | words.word[1];
}

}  // namespace

Permutation::Permutation(std::uint64_t size, std::uint64_t key)
    : size_(size), key_(key), base_(static_cast<std::uint64_t>(std::sqrt(static_cast<double>(size)))) {
  HIGGS_ASSERT(size > 0 && size < std::uint64_t{1} << 62);
  while (base_ * base_ < size) ++base_;
}

std::uint64_t Permutation::at(std::uint64_t i) const {
  HIGGS_ASSERT(i < size_);
  do {
    std::uint64_t left = i / base_, right = i % base_;
    for (std::uint32_t round = 1; round <= kRounds; ++round) {
      left = std::exchange(right, (left + random_number(right, round, key_)) % base_);
    }
    i = left * base_ + right;
  } while (i >= size_);
  return i;
}

Sampler::Sampler(std::size_t num_samples, std::uint64_t seed, std::shared_ptr<const Groups> groups)
    : num_samples_(num_samples), seed_(seed), groups_(std::move(groups)) {
  HIGGS_ASSERT(num_samples > 0 && (groups_ == nullptr || groups_->num_samples() == num_samples));
}

std::size_t Sampler::at(std::uint64_t position) {
  const std::uint64_t epoch = position / num_samples_;
  if (epoch != epoch_) {
    epoch_ = epoch;
    key_ = mix_key(mix_key(seed_, 0x5A3B1E), epoch);
    if (num_samples_ <= kMostInMemory) shuffle(key_);
  }
  const std::uint64_t place = position % num_samples_;
  const std::uint64_t drawn = order_.empty() ? Permutation(num_samples_, key_).at(place) : order_[place];
  return groups_ == nullptr ? drawn : from_groups(epoch * num_samples_ + drawn);
}

// Draws go round the groups: those of an epoch, num_samples in a row, are shared out evenly, and so are those
// of several.
std::size_t Sampler::from_groups(std::uint64_t draw) const {
  const std::uint64_t group = draw % groups_->size(), turn = draw / groups_->size();
  const std::size_t count = groups_->count(group);
  const std::uint64_t key = mix_key(mix_key(mix_key(seed_, 0xBA1A9CED), group), turn / count);
  return groups_->member(group, Permutation(count, key).at(turn % count));
}

// Fisher-Yates with Philox: std::shuffle differs between standard libraries.
void Sampler::shuffle(std::uint64_t key) {
  order_.resize(num_samples_);
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  for (std::size_t i = num_samples_; i > 1; --i)
    std::swap(order_[i - 1], order_[random_number(i, 0, key) % i]);
}

}  // namespace higgs
