// The order in which samples are drawn: every sample once per epoch, or every group equally often, each epoch
// shuffled anew, the same for the same seed on every machine. A position in the stream is the whole state.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "higgs/data/groups.h"

namespace higgs {

// A pseudo-random permutation of 0 .. size - 1 that takes no memory: a Feistel network over the digits of a
// two-digit number of base ceil(sqrt(size)), with Philox as its round function, walked until it falls below
// `size` (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
class Permutation {
 public:
  Permutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t at(std::uint64_t i) const;

 private:
  std::uint64_t size_, key_, base_;
};

class Sampler {
 public:
  // Up to so many samples are shuffled in memory, where every order is as likely as any other; more are
  // permuted by a Permutation.
  static constexpr std::size_t kMostInMemory = std::size_t{1} << 16;

  // With `groups` an epoch, still of num_samples draws, has as many from each of them, give or take one (over
  // any number of whole epochs too), as by weights of 1 / count, but without their chance; within a group
  // every sample comes once before one comes again, from epoch to epoch.
  Sampler(std::size_t num_samples, std::uint64_t seed, std::shared_ptr<const Groups> groups = nullptr);

  // Index of the sample at `position` of the endless stream epoch 0, epoch 1, ...
  std::size_t at(std::uint64_t position);

 private:
  void shuffle(std::uint64_t key);
  std::size_t from_groups(std::uint64_t draw) const;
  std::size_t num_samples_;
  std::uint64_t seed_;
  std::shared_ptr<const Groups> groups_;
  std::uint64_t epoch_ = ~std::uint64_t{0};
  std::uint64_t key_ = 0;           // of the epoch
  std::vector<std::size_t> order_;  // of the epoch; empty for more than kMostInMemory samples
};

}  // namespace higgs
