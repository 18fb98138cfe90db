// A checkpoint of training: adapter (a PEFT folder), optimizer moments, and where the run stands.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "higgs/data/step_plan.h"
#include "higgs/formats/checkpoint_folder.h"
#include "higgs/model/adapter.h"
#include "higgs/train/optimizer.h"

namespace higgs {

// Names and values of what a run computes with, to say on resume what has changed.
using Settings = std::vector<std::pair<std::string, std::string>>;

// Names of files and what is in them.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

struct CheckpointState {
  std::int64_t step = 0;             // optimizer steps done
  std::int64_t optimizer_steps = 0;  // of them, those that moved the adapter
  std::int64_t samples = 0;          // samples drawn by them
  StreamPlace place;                 // where they leave the stream of samples
  StepOrigin origin;                 // from where steps were planned, and how: StepPlanner::split_text()
  std::string split;
  std::int64_t tokens = 0;                // trained on so far
  double seconds = 0.0;                   // trained so far
  bool evaluated = false;                 // validation of this step was done
  std::optional<double> validation_loss;  // of this step
  std::optional<double> best_validation;  // of all steps so far
  std::int64_t no_better_in_row = 0;      // validations since that one
  double norm_mean = 0.0;                 // UpdateGuard's
  std::int64_t norm_count = 0;
  std::int64_t left_out_in_row = 0;   // steps just before that were not finite
  std::vector<double> newest_losses;  // LeakAlarm's
  std::string run;                    // what must be the same for the run to continue
  Settings settings;
};

// As it stands in trainer_state.json. UserError, `where` in front, for what isn't one.
std::string to_json(const CheckpointState& state);
CheckpointState state_from_json(const std::string& text, const std::string& where);

// A checkpoint in host memory: the adapter and the optimizer may go on while it is written.
class CheckpointImage {
 public:
  // Keeps a reference to `adapter`, of which it takes the values now and later only what never changes.
  CheckpointImage(Adapter& adapter, AdamW& optimizer, CheckpointState state, NamedTexts files = {});

  const CheckpointState& state() const { return state_; }
  std::uint64_t num_bytes() const;  // that it takes on the disk, about
  // Complete under this name, or not at all; `before_commit` runs when only the name is missing. RunError.
  void write(
      const fs::path& folder, const std::function<void()>& before_commit = [] {}) const;

 private:
  const Adapter& adapter_;
  at::Tensor values_, first_, second_;  // float32 [P] on the CPU
  CheckpointState state_;
  NamedTexts files_;
};

// Why a run can't go on from this folder, or nothing when it is a whole checkpoint of training.
std::optional<std::string> training_checkpoint_fault(const fs::path& folder);

// Its trainer_state.json alone. UserError.
CheckpointState read_checkpoint_state(const fs::path& folder);

// UserError when the folder is incomplete, damaged, or of another adapter.
CheckpointState read_checkpoint(const fs::path& folder, Adapter& adapter, AdamW& optimizer);

// Of the checkpoints up to step `written`, leaves the newest `keep_last` and the `keep_best` with the lowest
// validation loss; keep_last <= 0 leaves all. What can't be removed is warned of.
void remove_old_checkpoints(const fs::path& root, std::int64_t written, std::int64_t keep_last,
                            std::int64_t keep_best);

// The checkpoint with the lowest validation loss, the newest where several have it; nothing when none has
// one.
std::optional<fs::path> best_checkpoint(const fs::path& root);

// Renames the checkpoints of later steps than `step`: a run goes on from there, and they are no part of what
// it will be. Says so.
void set_later_checkpoints_aside(const fs::path& root, std::int64_t step);

}  // namespace higgs
