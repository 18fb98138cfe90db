// TensorBoard's event files: what `tensorboard --logdir OUT/tensorboard` draws and plays.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct Scalar {
  std::string tag;  // "train/loss"; what stands before the slash groups charts
  double value = 0.0;
};

// The event file of one process. It is made with the first point, so that a run with nothing left to do
// leaves the folder as it is. No failure of the disk is thrown: charts are no reason to end a run.
class EventFile {
 public:
  // What waits for a disk that takes nothing; further points are left out of the charts.
  static constexpr std::size_t kMostWaiting = std::size_t{16} << 20;

  // `folder` and its parents are made when needed.
  explicit EventFile(fs::path folder) : folder_(std::move(folder)) {}
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Before the first point: points of `step` and later in the folder's other files are of the past,
  // TensorBoard drops them.
  void begin_at(std::int64_t step) { first_step_ = step; }

  // One point of each tag. Kept in memory until flush().
  void add_scalars(std::int64_t step, const std::vector<Scalar>& scalars);
  // Mono sound, in [-1, 1]. RunError for samples that aren't finite numbers.
  void add_audio(const std::string& tag, std::int64_t step, std::span<const float> samples, int sample_rate);

  // Writes what was added since. The cause when the disk takes no more, else "": the rest is tried again with
  // the next call.
  std::string flush();
  // Brings what was written to the disk, as far as that works. Any thread.
  void sync() noexcept;

 private:
  void add(const std::string& event);
  std::string open();

  fs::path folder_, path_;
  std::atomic<int> fd_{-1};
  std::int64_t first_step_ = 0;
  bool begun_ = false;
  std::string waiting_;
};

}  // namespace higgs
