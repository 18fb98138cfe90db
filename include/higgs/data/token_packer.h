// Samples packed into micro-batches of at most so many tokens, in the sampler's order but for what packing
// moves within a window. Torch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "higgs/data/lengths.h"
#include "higgs/data/sampler.h"

namespace higgs {

// Where a run stands in the sampler's stream: all positions before `next` are drawn but those `left`.
struct StreamPlace {
  std::int64_t next = 0;
  std::vector<std::int64_t> left;  // ascending
};

// Each item (at most `capacity`) into the first bin that has room for it, a new one where none has. Indices
// into `sizes`, in their order; O(n log n).
std::vector<std::vector<std::size_t>> first_fit(std::span<const std::int64_t> sizes, std::int64_t capacity);

class TokenPacker {
 public:
  static constexpr std::int64_t kWindow = 8192;  // positions packed together; none spans two epochs

  // `lengths`: tokens of each sample, none above `budget`. The stream begins at `start` and ends before
  // position `end`, or never. `groups`: Sampler's.
  TokenPacker(Lengths lengths, std::uint64_t seed, std::int64_t budget, StreamPlace start,
              std::optional<std::int64_t> end, const std::shared_ptr<const Groups>& groups = nullptr);

  // Positions of the stream in bin `index`, counted from 0. Asked for in order it is cheap.
  const std::vector<std::int64_t>& bin(std::int64_t index);
  // Bins until the end: packs all of the stream, which must have an end.
  std::int64_t num_bins();
  // How many positions the bins before this one hold, and where the stream stands before it. At most
  // num_bins().
  std::int64_t positions_before(std::int64_t index);
  StreamPlace place_before(std::int64_t index);

 private:
  struct Window {
    std::int64_t first_bin, num_bins, first_position;  // counts before it, and of its bins
    std::int64_t begin, end;  // positions of the stream; both 0: those left at the start
  };
  bool add_window();  // false at the end of the stream
  void open_window_of(std::int64_t bin);
  std::vector<std::int64_t> positions_of(const Window& window) const;
  std::vector<std::vector<std::int64_t>> pack(const Window& window);

  Lengths lengths_;
  Sampler sampler_;
  std::int64_t budget_;
  StreamPlace start_;
  std::optional<std::int64_t> end_;
  std::vector<Window> windows_;
  std::size_t open_ = 0;  // the window whose bins are in bins_
  std::vector<std::vector<std::int64_t>> bins_;
};

}  // namespace higgs
