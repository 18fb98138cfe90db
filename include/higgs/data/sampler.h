// The order in which samples are drawn: every sample once per epoch, each epoch shuffled anew, the same for
// the same seed on every machine. A position in the stream is the whole state.
#pragma once

#include <cstdint>
#include <vector>

namespace higgs {

class Sampler {
 public:
  Sampler(std::size_t num_samples, std::uint64_t seed);

  // Index of the sample at `position` of the endless stream epoch 0, epoch 1, ...
  std::size_t at(std::uint64_t position);

 private:
  void shuffle(std::uint64_t epoch);
  std::size_t num_samples_;
  std::uint64_t seed_;
  std::uint64_t epoch_ = ~std::uint64_t{0};
  std::vector<std::size_t> order_;
};

}  // namespace higgs
