// The training loop, the same on every rank: steps, validation, checkpoints. What it computes is in
// objective.h and optimizer.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "higgs/data/batch_loader.h"
#include "higgs/data/dataset.h"
#include "higgs/dist/collective.h"
#include "higgs/model/adapter.h"
#include "higgs/model/agreement.h"
#include "higgs/train/objective.h"
#include "higgs/train/optimizer.h"

namespace higgs {

struct TrainerOptions {
  std::int64_t batch_size = 2;  // samples per micro-batch
  std::int64_t grad_accum = 1;  // micro-batches per optimizer step
  double learning_rate = 2e-4;
  double epochs = 1.0;
  std::int64_t max_steps = 0;  // 0: as `epochs` says
  double warmup = 0.03;        // steps when >= 1, else a share of all steps
  double max_grad_norm = 1.0;
  AdamWOptions adamw;
  ObjectiveOptions objective;
  bool text_loss = true;
  std::uint64_t seed = 0;
  std::int64_t log_steps = 10;
  std::int64_t val_steps = 0;   // 0: at start and end only
  std::int64_t save_steps = 0;  // 0: at the end only
  std::int64_t keep_last = 3;
  std::int64_t replica_check_steps = 100;  // 0: never; compares the adapter of all ranks bit by bit
  PrefetchOptions loader;
  bool self_test = true;  // see Trainer::self_test
  fs::path checkpoints;   // folder
};

struct StepMetrics {
  std::int64_t step = 0;  // steps done
  double epoch = 0.0;
  LossValues loss;
  double learning_rate = 0.0;
  double grad_norm = 0.0;
  std::int64_t tokens = 0;  // real, unpadded, expanded positions since the start of this run
  double tokens_per_second = 0.0;
  double seconds = 0.0;  // since the start of this run
  std::int64_t memory_bytes = 0;
  double loader_wait = 0.0;  // share of this step's time spent waiting for batches, mean over ranks
  double imbalance = 0.0;    // StepPlan::imbalance() of this step
};

struct EvalMetrics {
  std::int64_t step = 0;
  LossValues loss;
  std::vector<double> accuracy;  // [C] share of supervised codes that are the most likely one
  std::int64_t tokens = 0;
  double seconds = 0.0;
};

// Told what happens; all calls come from the training thread. As it is, it keeps quiet.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_self_test(const Agreement&) {}
  virtual void on_start(std::int64_t /*first_step*/, std::int64_t /*total_steps*/) {}
  virtual void on_step(const StepMetrics&, std::int64_t /*total_steps*/) {}
  virtual void on_eval(const EvalMetrics&) {}
  virtual void on_checkpoint(std::int64_t /*step*/, const fs::path& /*folder*/) {}
};

class Trainer {
 public:
  // `validation` may be empty (null). Each rank holds all samples and takes its share of every step
  // (data/step_plan.h); the observer hears on rank 0 what the ranks did together.
  Trainer(HiggsModel& model, Adapter& adapter, const Dataset& training, const Dataset* validation,
          const SpecialIds& ids, const TrainerOptions& options, TrainObserver& observer, Collective& ranks);

  // Continues from a checkpoint folder that rank 0 reads; the others get what is in it from rank 0. UserError
  // when it is of another run (data, batch, seed, adapter).
  void resume(const fs::path& checkpoint);
  // Trains to the end, or until `should_stop` says so after a step; then a checkpoint is saved. True at the
  // end.
  bool run(const std::function<bool()>& should_stop);

  EvalMetrics evaluate();
  // How samples are split over steps and ranks.
  const StepPlanner& planner() const { return *planner_; }
  std::int64_t total_steps() const { return total_steps_; }
  std::int64_t step() const { return step_; }

 private:
  StepMetrics train_step();
  // Loss and gradient of the step's batches, summed over ranks; the gradient is in the adapter's.
  StepMetrics forward_backward(const std::vector<PackedBatch>& batches);
  // RunError when generation's forward doesn't give training's logits on the first batch (model/agreement.h).
  void self_test();
  // What only together is known: whether a rank wants to stop, and how long ranks waited for batches.
  bool agree_to_stop(bool stop, StepMetrics& metrics);
  // RunError when a rank's adapter isn't rank 0's, bit by bit.
  void check_replicas();
  void validate();
  void save_checkpoint();
  std::string fingerprint() const;

  HiggsModel& model_;
  Adapter& adapter_;
  const Dataset& training_;
  const Dataset* validation_;
  SpecialIds ids_;
  TrainerOptions options_;
  TrainObserver& observer_;
  Collective& ranks_;
  AdamW optimizer_;
  std::int64_t samples_per_step_, total_samples_, total_steps_, warmup_steps_;
  std::optional<StepPlanner> planner_;
  std::optional<BatchLoader> loader_;
  std::int64_t step_ = 0;
  std::int64_t evaluated_step_ = -1;
  std::int64_t tokens_ = 0;
  double start_seconds_ = 0.0;
};

}  // namespace higgs
