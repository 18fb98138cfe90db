#include "higgs/data/token_packer.h"

#include <algorithm>
#include <numeric>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// The room left in each bin, as a tree of maxima: finds the first bin with enough in logarithmic time.
class Rooms {
 public:
  Rooms(std::size_t most_bins, std::int64_t capacity) : capacity_(capacity) {
    while (width_ < most_bins) width_ *= 2;
    most_.assign(2 * width_, capacity);
  }

  // Takes `size` from the first bin with room and returns the bin.
  std::size_t take(std::int64_t size) {
    HIGGS_ASSERT(size <= capacity_ && most_[1] >= size);
    std::size_t node = 1;
    while (node < width_) node = most_[2 * node] >= size ? 2 * node : 2 * node + 1;
    most_[node] -= size;
    const std::size_t bin = node - width_;
    while (node > 1) {
      node /= 2;
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    }
    return bin;
  }

 private:
  std::size_t width_ = 1;
  std::int64_t capacity_;
  std::vector<std::int64_t> most_;
};

}  // namespace

std::vector<std::vector<std::size_t>> first_fit(std::span<const std::int64_t> sizes, std::int64_t capacity) {
  std::vector<std::vector<std::size_t>> bins;
  Rooms rooms(std::max<std::size_t>(1, sizes.size()), capacity);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::size_t bin = rooms.take(sizes[i]);
    if (bin >= bins.size()) bins.resize(bin + 1);
    bins[bin].push_back(i);
  }
  return bins;
}

TokenPacker::TokenPacker(Lengths lengths, std::uint64_t seed, std::int64_t budget, StreamPlace start,
                         std::optional<std::int64_t> end, const std::shared_ptr<const Groups>& groups)
    : lengths_(std::move(lengths)),
      sampler_(lengths_.size(), seed, groups),
      budget_(budget),
      start_(std::move(start)),
      end_(end) {}

std::vector<std::int64_t> TokenPacker::positions_of(const Window& window) const {
  if (window.end == 0) return start_.left;
  std::vector<std::int64_t> positions(static_cast<std::size_t>(window.end - window.begin));
  std::iota(positions.begin(), positions.end(), window.begin);
  return positions;
}

std::vector<std::vector<std::int64_t>> TokenPacker::pack(const Window& window) {
  const std::vector<std::int64_t> positions = positions_of(window);
  std::vector<std::int64_t> sizes;
  for (const std::int64_t position : positions) {
    sizes.push_back(lengths_[sampler_.at(static_cast<std::uint64_t>(position))]);
  }
  std::vector<std::vector<std::int64_t>> bins;
  for (const auto& bin : first_fit(sizes, budget_)) {
    std::vector<std::int64_t>& held = bins.emplace_back();
    for (const std::size_t i : bin) held.push_back(positions[i]);
  }
  return bins;
}

bool TokenPacker::add_window() {
  Window window{};
  if (windows_.empty() && !start_.left.empty()) {
    // Those left at the start: begin = end = 0.
  } else {
    const auto size = static_cast<std::int64_t>(lengths_.size());
    const bool first = windows_.empty() || windows_.back().end == 0;
    window.begin = first ? start_.next : windows_.back().end;
    const std::int64_t in_epoch = window.begin % size;
    window.end = window.begin - in_epoch + std::min(size, (in_epoch / kWindow + 1) * kWindow);
    if (end_) window.end = std::min(window.end, *end_);
    if (window.end <= window.begin) return false;
  }
  if (!windows_.empty()) {
    const Window& last = windows_.back();
    window.first_bin = last.first_bin + last.num_bins;
    window.first_position = last.first_position + static_cast<std::int64_t>(positions_of(last).size());
  }
  bins_ = pack(window);
  window.num_bins = static_cast<std::int64_t>(bins_.size());
  open_ = windows_.size();
  windows_.push_back(window);
  return true;
}

void TokenPacker::open_window_of(std::int64_t bin) {
  HIGGS_ASSERT(bin >= 0);
  while (windows_.empty() || bin >= windows_.back().first_bin + windows_.back().num_bins) {
    HIGGS_ASSERT(add_window());
  }
  const auto after = std::upper_bound(windows_.begin(), windows_.end(), bin,
                                      [](std::int64_t b, const Window& w) { return b < w.first_bin; });
  const auto wanted = static_cast<std::size_t>(after - windows_.begin() - 1);
  if (wanted == open_) return;
  bins_ = pack(windows_[wanted]);
  open_ = wanted;
}

const std::vector<std::int64_t>& TokenPacker::bin(std::int64_t index) {
  open_window_of(index);
  return bins_[static_cast<std::size_t>(index - windows_[open_].first_bin)];
}

std::int64_t TokenPacker::num_bins() {
  HIGGS_ASSERT(end_.has_value());
  while (add_window()) {
  }
  return windows_.empty() ? 0 : windows_.back().first_bin + windows_.back().num_bins;
}

std::int64_t TokenPacker::positions_before(std::int64_t index) {
  if (index == 0) return 0;
  open_window_of(index - 1);
  std::int64_t count = windows_[open_].first_position;
  for (std::int64_t i = windows_[open_].first_bin; i < index; ++i) {
    count += static_cast<std::int64_t>(bins_[static_cast<std::size_t>(i - windows_[open_].first_bin)].size());
  }
  return count;
}

StreamPlace TokenPacker::place_before(std::int64_t index) {
  if (index == 0) return start_;
  open_window_of(index - 1);
  const Window& window = windows_[open_];
  StreamPlace place{window.end == 0 ? start_.next : window.end, {}};
  for (std::size_t i = static_cast<std::size_t>(index - window.first_bin); i < bins_.size(); ++i) {
    place.left.insert(place.left.end(), bins_[i].begin(), bins_[i].end());
  }
  std::sort(place.left.begin(), place.left.end());
  return place;
}

}  // namespace higgs
