// Tokens of each sample of a data set, wherever they are kept; cheap to copy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace higgs {

class Lengths {
 public:
  Lengths(std::vector<std::int64_t> values)  // NOLINT(google-explicit-constructor): a list is such lengths
      : Lengths(values.size(), [all = std::make_shared<const std::vector<std::int64_t>>(values)](
                                   std::size_t i) { return (*all)[i]; }) {}
  // `at` may be called by several threads.
  Lengths(std::size_t size, std::function<std::int64_t(std::size_t)> at) : size_(size), at_(std::move(at)) {}

  std::size_t size() const { return size_; }
  std::int64_t operator[](std::size_t i) const { return at_(i); }
  std::vector<std::int64_t> to_vector() const {
    std::vector<std::int64_t> values(size_);
    for (std::size_t i = 0; i < size_; ++i) values[i] = at_(i);
    return values;
  }

 private:
  std::size_t size_;
  std::function<std::int64_t(std::size_t)> at_;
};

}  // namespace higgs
