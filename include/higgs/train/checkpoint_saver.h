// Writes checkpoints on a thread of its own while training goes on.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "higgs/base/background.h"
#include "higgs/train/checkpoint.h"

namespace higgs {

struct SaverOptions {
  fs::path root;
  std::int64_t keep_last = 3;
  std::int64_t keep_best = 0;
  bool go_on_without = false;  // a checkpoint that can't be written is warned of instead of thrown
};

class CheckpointSaver {
 public:
  explicit CheckpointSaver(SaverOptions options);

  // Begins to write; the one before must have been waited for. `before_commit` runs on the writing thread
  // when all but the checkpoint's name is on the disk: what must not be older than the checkpoint is synced
  // there.
  void start(CheckpointImage image, std::function<void()> before_commit);
  bool at_work() const { return thread_.started(); }
  bool finished() { return thread_.finished(); }
  // Until nothing is being written, calling `meanwhile` every now and then. The folder of a checkpoint that
  // was completed since the last call; RunError naming step and cause when it couldn't be written.
  std::optional<CheckpointEntry> wait(const std::function<void()>& meanwhile);
  // The last checkpoint that was begun could not be written.
  bool failed() const { return failed_; }

 private:
  SaverOptions options_;
  CheckpointEntry writing_;
  bool failed_ = false;
  Background thread_{"saver"};
};

}  // namespace higgs
