#include "higgs/train/trainer.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"
#include "higgs/train/checkpoint.h"
#include "higgs/train/evaluate.h"
#include "higgs/train/memory.h"

namespace higgs {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Trainer::Trainer(HiggsModel& model, Adapter& adapter, const Dataset& training, const Dataset* validation,
                 const SpecialIds& ids, const TrainerOptions& options, TrainObserver& observer,
                 Collective& ranks)
    : model_(model),
      adapter_(adapter),
      training_(training),
      validation_(validation),
      ids_(ids),
      options_(options),
      observer_(observer),
      ranks_(ranks),
      optimizer_(adapter.values(), adapter.grads(), options.adamw),
      sampler_(training.size(), options.seed) {
  samples_per_step_ = options.batch_size * options.grad_accum * ranks.world_size();
  const auto size = static_cast<std::int64_t>(training.size());
  total_samples_ = options.max_steps > 0 ? options.max_steps * samples_per_step_
                                         : static_cast<std::int64_t>(std::llround(options.epochs * size));
  total_samples_ = std::max<std::int64_t>(total_samples_, 1);
  total_steps_ = (total_samples_ + samples_per_step_ - 1) / samples_per_step_;
  warmup_steps_ = options.warmup >= 1.0 ? std::llround(options.warmup)
                                        : static_cast<std::int64_t>(std::ceil(options.warmup * total_steps_));
}

// This rank's samples of the step, as packed micro-batches. The step's samples stand in one order whatever
// the number of ranks: micro-batch m of rank r takes the block m * world_size + r. Only the run's very last
// step may be smaller.
std::vector<PackedBatch> Trainer::next_batches() {
  std::vector<PackedBatch> batches;
  const std::int64_t begin = step_ * samples_per_step_;
  const std::int64_t end = std::min(begin + samples_per_step_, total_samples_);
  const std::int64_t stride = options_.batch_size * ranks_.world_size();
  for (std::int64_t first = begin + options_.batch_size * ranks_.rank(); first < end; first += stride) {
    std::vector<const EncodedSample*> samples;
    for (std::int64_t i = first; i < std::min(first + options_.batch_size, end); ++i) {
      samples.push_back(&training_.sample(sampler_.at(static_cast<std::uint64_t>(i))));
    }
    batches.push_back(make_batch(samples, ids_, first - begin).to(model_.device()));
  }
  return batches;
}

StepMetrics Trainer::train_step() {
  const std::vector<PackedBatch> batches = next_batches();
  TargetCounts counts(ids_.num_codebooks);
  for (const PackedBatch& batch : batches) counts.add(batch);
  counts.reduce(ranks_);

  ForwardOptions forward;
  forward.dropout_p = adapter_.config().lora_dropout;
  forward.dropout_key = mix_key(options_.seed, static_cast<std::uint64_t>(step_));
  adapter_.grads().zero_();
  LossMeter meter(ids_.num_codebooks);
  for (const PackedBatch& batch : batches) {
    const LossSums sums = loss_sums(model_, batch, model_.forward(batch, forward), options_.text_loss);
    const at::Tensor loss = total_loss(sums, counts, options_.objective);
    if (loss.requires_grad()) loss.backward();
    meter.add(sums);
  }
  ranks_.sum(adapter_.grads());
  meter.reduce(ranks_);
  const at::Tensor norm = clip_gradient(adapter_.grads(), options_.max_grad_norm);

  StepMetrics metrics;
  metrics.learning_rate = cosine_learning_rate(step_, warmup_steps_, total_steps_, options_.learning_rate);
  metrics.loss = meter.values(counts, options_.objective);
  metrics.grad_norm = norm.item<double>();
  if (!std::isfinite(metrics.loss.total) || !std::isfinite(metrics.grad_norm)) {
    throw RunError("step " + std::to_string(step_ + 1) + ": loss or gradient is not finite (loss " +
                   std::to_string(metrics.loss.total) + ", gradient norm " +
                   std::to_string(metrics.grad_norm) + "); lower --lr, or resume from the last checkpoint");
  }
  optimizer_.step(metrics.learning_rate);
  ++step_;
  tokens_ += counts.tokens;
  metrics.step = step_;
  metrics.epoch = static_cast<double>(std::min(step_ * samples_per_step_, total_samples_)) /
                  static_cast<double>(training_.size());
  metrics.tokens = tokens_;
  metrics.seconds = now_seconds() - start_seconds_;
  metrics.tokens_per_second = static_cast<double>(tokens_) / std::max(metrics.seconds, 1e-9);
  metrics.memory_bytes = peak_memory_bytes(model_.device());
  return metrics;
}

bool Trainer::any_rank(bool flag) {
  if (ranks_.world_size() == 1) return flag;
  at::Tensor votes = at::full({1}, flag ? 1.0 : 0.0, at::kDouble);
  ranks_.sum(votes);
  return votes.item<double>() > 0.0;
}

EvalMetrics Trainer::evaluate() {
  HIGGS_ASSERT(validation_ != nullptr);
  EvalMetrics metrics = higgs::evaluate(model_, *validation_, ids_, options_.batch_size, options_.objective,
                                        options_.text_loss, ranks_);
  metrics.step = step_;
  return metrics;
}

void Trainer::self_test() {
  if (!options_.self_test || step_ == total_steps_) return;
  const std::vector<PackedBatch> batches = next_batches();
  if (batches.empty()) return;
  const auto check = [&](bool wide, std::int64_t max_positions) {
    const Agreement agreement = compare_forwards(model_, batches.front(), wide, max_positions);
    if (!agreement.holds()) {
      throw RunError("self-test: generation does not compute what training computes (" + agreement.summary() +
                     "): what is trained would not be what is heard. Please report this; --self_test off " +
                     "trains all the same");
    }
    observer_.on_self_test(agreement);
  };
  const bool rounded = model_.dtype() != at::kFloat;
  check(/*wide=*/true, rounded ? 8 : 32);  // widening the weights for each position takes its time
  if (rounded) check(/*wide=*/false, 32);
}

void Trainer::validate() {
  if (validation_ == nullptr) return;
  observer_.on_eval(evaluate());
  evaluated_step_ = step_;
}

bool Trainer::run(const std::function<bool()>& should_stop) {
  start_seconds_ = now_seconds();
  self_test();
  observer_.on_start(step_, total_steps_);
  const auto due = [&](std::int64_t every) { return every > 0 && step_ % every == 0; };
  // At the start, and where a stop came between a step and its validation.
  if (step_ == 0 || (due(options_.val_steps) && evaluated_step_ != step_)) validate();
  bool stopped = false;
  while (step_ < total_steps_ && !stopped) {
    observer_.on_step(train_step(), total_steps_);
    stopped = any_rank(should_stop());
    const bool last = step_ == total_steps_;
    if (last || (due(options_.val_steps) && !stopped)) validate();
    if (due(options_.save_steps) || last || stopped) save_checkpoint();
  }
  return step_ == total_steps_;
}

// What must stay the same for a step to mean the same; its length and learning rate may change on resume.
std::string Trainer::fingerprint() const {
  char alpha[32];
  std::snprintf(alpha, sizeof alpha, "%g", adapter_.config().lora_alpha);
  return "data=" + training_.fingerprint() + " samples_per_step=" + std::to_string(samples_per_step_) +
         " seed=" + std::to_string(options_.seed) + " lora_alpha=" + alpha +
         (adapter_.config().use_rslora ? " use_rslora" : "") +
         (adapter_.config().use_dora ? " use_dora" : "");
}

void Trainer::save_checkpoint() {
  const fs::path folder = options_.checkpoints / checkpoint_name(step_);
  if (ranks_.rank() != 0) return;
  write_checkpoint(folder, adapter_, optimizer_, {step_, evaluated_step_ == step_, fingerprint()});
  remove_old_checkpoints(options_.checkpoints, options_.keep_last);
  observer_.on_checkpoint(step_, folder);
}

void Trainer::resume(const fs::path& checkpoint) {
  const CheckpointState state = read_checkpoint(checkpoint, adapter_, optimizer_);
  if (state.run != fingerprint()) {
    throw UserError(checkpoint.string() + ": is of another run (" + state.run +
                    "; this one: " + fingerprint() +
                    "); give the same data, batch, --seed, --lora_alpha, --use_rslora and --use_dora, or "
                    "start anew in another "
                    "--output_dir");
  }
  step_ = state.step;
  if (state.evaluated) evaluated_step_ = step_;
}

}  // namespace higgs
