// The training loop, the same on every rank: steps, validation, checkpoints. What it computes is in
// gradient.h, update_guard.h and optimizer.h.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "higgs/data/dataset.h"
#include "higgs/model/agreement.h"
#include "higgs/train/checkpoint_saver.h"
#include "higgs/train/gradient.h"
#include "higgs/train/host_copy.h"
#include "higgs/train/leak_alarm.h"
#include "higgs/train/optimizer.h"
#include "higgs/train/update_guard.h"

namespace higgs {

// Samples on which the adapted model is held to the base (train/replay.h).
struct ReplayOptions {
  double share = 0.0;                // of all samples, 0 .. 0.5; 0: none
  double weight = 1.0;               // GradientOptions'
  const Dataset* samples = nullptr;  // null: the training samples
};

struct TrainerOptions {
  std::int64_t batch_size = 2;        // samples per micro-batch
  std::int64_t tokens_per_batch = 0;  // > 0: SplitOptions' instead
  std::int64_t grad_accum = 1;        // micro-batches per optimizer step
  double learning_rate = 2e-4;
  double epochs = 1.0;
  std::int64_t max_steps = 0;  // 0: as `epochs` says
  double warmup = 0.03;        // steps when >= 1, else a share of all steps
  Schedule schedule = Schedule::kCosine;
  std::vector<GroupValue> rates;  // factors of learning_rate for groups of linear maps
  double lora_plus = 1.0;         // B's learning rate is so many times A's
  double max_grad_norm = 1.0;
  AdamWOptions adamw;
  ObjectiveOptions objective;
  bool text_loss = true;
  std::uint64_t seed = 0;
  std::shared_ptr<const Groups> groups;  // Sampler's, of the training samples
  ReplayOptions replay;
  std::int64_t log_steps = 10;
  std::int64_t val_steps = 0;       // 0: at start and end only
  std::int64_t early_stopping = 0;  // > 0: the run ends after so many validations in a row that are no better
  std::int64_t save_steps = 0;      // 0: as save_minutes says, and at the end
  double save_minutes = 10.0;       // since the last one, or the start; 0: never by time
  std::int64_t keep_last = 3;
  std::int64_t keep_best = 0;              // > 0: a validation better than all before it saves too
  bool go_on_without_checkpoint = false;   // when one can't be written
  bool stop_when_not_finite = false;       // else the step is left out; ten in a row stop all the same
  double spike_guard = 0.0;                // UpdateGuard's
  double leak_alarm = 0.5;                 // LeakAlarm's
  std::int64_t replica_check_steps = 100;  // 0: never; compares the adapter of all ranks bit by bit
  PrefetchOptions loader;
  bool self_test = true;      // see Trainer::self_test
  fs::path checkpoints;       // folder
  NamedTexts beside_adapter;  // files that every checkpoint has beside its adapter
};

struct StepMetrics {
  std::int64_t step = 0;  // steps done
  double epoch = 0.0;
  LossValues loss;
  std::optional<double> replay;  // mean divergence from the base, nats; where the step has samples of it
  double learning_rate = 0.0;
  double grad_norm = 0.0;
  Verdict verdict = Verdict::kTaken;  // else the adapter was left as it was
  std::int64_t tokens = 0;            // real, unpadded, expanded positions since the first step
  double tokens_per_second = 0.0;     // since this process began to train
  double seconds = 0.0;               // trained since the first step, times of other processes included
  std::int64_t memory_bytes = 0;
  double loader_wait = 0.0;  // share of this step's time spent waiting for batches, mean over ranks
  double imbalance = 0.0;    // StepPlan::imbalance() of this step
};

struct EvalMetrics {
  std::int64_t step = 0;
  LossValues loss;
  std::vector<double> accuracy;  // [C] share of supervised codes that are the most likely one
  std::vector<double> top10;     // [C] share of those to which fewer than ten are preferred
  std::int64_t tokens = 0;
  double seconds = 0.0;
};

struct TrainStart {
  std::int64_t first_step = 0, total_steps = 0;  // steps done before
  double seconds = 0.0;                          // trained before
  bool evaluated = false;                        // the validation of first_step was told before
};

// Told what happens; all calls but before_commit() come from the training thread. As it is, it keeps quiet.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_self_test(const Agreement&) {}
  virtual void on_start(const TrainStart&) {}
  // A step later than it was computed, so that the device needn't be waited for.
  virtual void on_step(const StepMetrics&, std::int64_t /*total_steps*/) {}
  // Before on_step() of a step whose update was left out. `lines`: "manifest:line" of each of its samples;
  // the adapter is what it was then, or one step further.
  virtual void on_left_out(const StepMetrics&, const std::vector<std::string>& /*lines*/, const Adapter&) {}
  virtual void on_eval(const EvalMetrics&) {}
  // On the writing thread, when a checkpoint lacks only its name: what was told before must be on the disk.
  virtual void before_commit() {}
  virtual void on_checkpoint(std::int64_t /*step*/, const fs::path& /*folder*/) {}
};

class Trainer {
 public:
  // `validation` may be empty (null). Each rank holds all samples and takes its share of every step
  // (data/step_plan.h); the observer hears on rank 0 what the ranks did together.
  Trainer(HiggsModel& model, Adapter& adapter, const Dataset& training, const Dataset* validation,
          const SpecialIds& ids, const TrainerOptions& options, TrainObserver& observer, Collective& ranks);

  // Continues from a checkpoint folder that rank 0 reads; the others get what is in it from rank 0. Says what
  // is computed otherwise than before. UserError when it is of another run (data, seed, adapter).
  void resume(const fs::path& checkpoint);
  // Trains to the end (the last step, or early_stopping), or until `should_stop` says so after a step; then a
  // checkpoint is saved. True at the end.
  bool run(const std::function<bool()>& should_stop);

  // Whether the last checkpoint that was due could be written (go_on_without_checkpoint).
  bool saved() const { return !saver_.failed(); }

  // Called on every rank where a validation is due, also when there is nothing to validate on; after it.
  void at_validation(std::function<void(std::int64_t step)> hook) { at_validation_ = std::move(hook); }

  EvalMetrics evaluate();
  // How samples are split over steps and ranks.
  StepPlanner& planner() { return *planner_; }
  std::int64_t total_steps() const { return planner_->total_steps(); }
  std::int64_t step() const { return step_; }
  const LeakAlarm& leak_alarm() const { return leak_alarm_; }
  // Audio loss (the whole where there is none) of the validation after the last step, if there was one.
  std::optional<double> validation_loss() const {
    return validation_ != nullptr && evaluated_step_ == step_ ? std::optional<double>(validation_loss_)
                                                              : std::nullopt;
  }

 private:
  // A step whose numbers are on their way to the host.
  struct Pending {
    StepMetrics metrics;
    TargetCounts counts, replay_counts;
    HostCopy numbers;  // [1 + C] loss sums, gradient norm, verdict; [1 + C] sums of replay
    bool new_samples;  // none of them was trained on before
  };
  void plan_from(StepOrigin origin);
  Pending train_step();
  // Tells of a step when its numbers are there.
  void finish(Pending& pending);
  void finish_last();  // of the one that is pending
  // Sets failure_ when the run must not go on.
  void judge(const StepMetrics& metrics);
  void fail(const std::string& what);  // sets failure_, unless there is one
  [[noreturn]] void end_with_failure();
  // When a step fails before it moved anything (a clip that is gone, memory): saves the steps before it.
  void save_what_is_done() noexcept;
  // RunError when generation's forward doesn't give training's logits on the first batch (model/agreement.h).
  void self_test();
  // What only together is known: whether a rank wants to stop or to save, and how long ranks waited for
  // batches.
  struct Agreed {
    bool stop, save;
  };
  Agreed agree(bool stop, bool save, StepMetrics& metrics);
  // RunError when a rank's adapter isn't rank 0's, bit by bit.
  void check_replicas();
  bool ends_early() const { return options_.early_stopping > 0 && num_no_better_ >= options_.early_stopping; }
  // True when it is better than all before.
  bool validate();
  bool validate_on_held_out();
  bool time_to_save() const;
  void save_checkpoint();
  void finish_saving();
  std::string fingerprint() const;
  std::string samples_per_step_text() const;
  Settings settings() const;
  CheckpointState state();

  HiggsModel& model_;
  Adapter& adapter_;
  const Dataset& training_;
  const Dataset* validation_;
  SpecialIds ids_;
  TrainerOptions options_;
  SampleSource samples_;
  TrainObserver& observer_;
  Collective& ranks_;
  AdamW optimizer_;
  GradientComputer gradient_;
  UpdateGuard guard_;
  LeakAlarm leak_alarm_;
  CheckpointSaver saver_;
  std::int64_t warmup_steps_ = 0;
  std::function<void(std::int64_t step)> at_validation_;
  std::optional<StepPlanner> planner_;
  std::optional<BatchLoader> loader_;
  std::optional<Pending> pending_;
  std::optional<std::string> failure_;  // why the run ends when it is saved
  std::int64_t step_ = 0;
  std::int64_t num_left_out_ = 0;  // steps in a row whose numbers were not finite
  std::int64_t saved_step_ = 0;    // of the checkpoint that was begun last, or continued from
  double saved_at_ = 0.0;          // when: seconds on the steady clock
  std::int64_t evaluated_step_ = -1;
  std::int64_t num_no_better_ = 0;                                     // validations in a row
  double validation_loss_ = std::numeric_limits<double>::quiet_NaN();  // of evaluated_step_
  double best_validation_ = std::numeric_limits<double>::infinity();
  std::int64_t tokens_ = 0, tokens_before_ = 0;  // since the first step; at the start of this process
  double start_seconds_ = 0.0, seconds_before_ = 0.0;
};

}  // namespace higgs
