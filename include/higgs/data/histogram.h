// How often values fall into which band.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace higgs {

class Histogram {
 public:
  // Bands: below edges[0], from edges[0] to below edges[1], ..., from the last edge on.
  explicit Histogram(std::vector<double> edges) : edges_(std::move(edges)), counts_(edges_.size() + 1, 0) {}

  void add(double value) {
    ++counts_[static_cast<std::size_t>(std::upper_bound(edges_.begin(), edges_.end(), value) -
                                       edges_.begin())];
  }
  const std::vector<double>& edges() const { return edges_; }
  const std::vector<std::size_t>& counts() const { return counts_; }  // one more than edges
  bool empty() const {
    return std::all_of(counts_.begin(), counts_.end(), [](std::size_t count) { return count == 0; });
  }

 private:
  std::vector<double> edges_;
  std::vector<std::size_t> counts_;
};

}  // namespace higgs
