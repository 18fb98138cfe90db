#include "higgs/train/trainer.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <span>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
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
      optimizer_(adapter.values(), adapter.grads(), options.adamw) {
  const SplitOptions split{options.batch_size, options.grad_accum, ranks.world_size()};
  samples_per_step_ = split.samples_per_step();
  const auto size = static_cast<std::int64_t>(training.size());
  total_samples_ = options.max_steps > 0 ? options.max_steps * samples_per_step_
                                         : static_cast<std::int64_t>(std::llround(options.epochs * size));
  total_samples_ = std::max<std::int64_t>(total_samples_, 1);
  planner_.emplace(training.lengths(), options.seed, split, total_samples_);
  total_steps_ = planner_->total_steps();
  warmup_steps_ = options.warmup >= 1.0 ? std::llround(options.warmup)
                                        : static_cast<std::int64_t>(std::ceil(options.warmup * total_steps_));
}

StepMetrics Trainer::forward_backward(const std::vector<PackedBatch>& batches) {
  TargetCounts counts(ids_.num_codebooks);
  for (const PackedBatch& batch : batches) counts.add(batch);
  counts.reduce(ranks_);

  ForwardOptions forward;
  forward.dropout_p = adapter_.config().lora_dropout;
  forward.dropout_key = mix_key(options_.seed, static_cast<std::uint64_t>(step_));
  adapter_.grads().zero_();
  LossMeter meter(ids_.num_codebooks, model_.device());
  for (const PackedBatch& batch : batches) {
    ranks_.at(step_ + 1, "forward and backward");
    const LossSums sums = loss_sums(model_, batch, model_.forward(batch, forward), options_.text_loss);
    const at::Tensor loss = total_loss(sums, counts, options_.objective);
    if (loss.requires_grad()) loss.backward();
    meter.add(sums);
  }
  ranks_.at(step_ + 1, "the reduction");
  ranks_.sum(adapter_.grads());
  meter.reduce(ranks_);
  StepMetrics metrics;
  metrics.loss = meter.values(counts, options_.objective);
  tokens_ += counts.tokens;
  return metrics;
}

StepMetrics Trainer::train_step() {
  const double begin = now_seconds(), waited = loader_->waited_seconds();
  ranks_.at(step_ + 1, "loading a batch");
  const LoadedStep loaded = loader_->next();
  StepMetrics metrics = forward_backward(loaded.batches);
  const at::Tensor norm = clip_gradient(adapter_.grads(), options_.max_grad_norm);
  metrics.learning_rate = cosine_learning_rate(step_, warmup_steps_, total_steps_, options_.learning_rate);
  metrics.grad_norm = norm.item<double>();
  if (!std::isfinite(metrics.loss.total) || !std::isfinite(metrics.grad_norm)) {
    throw RunError("step " + std::to_string(step_ + 1) + ": loss or gradient is not finite (loss " +
                   std::to_string(metrics.loss.total) + ", gradient norm " +
                   std::to_string(metrics.grad_norm) + "); lower --lr, or resume from the last checkpoint");
  }
  ranks_.at(step_ + 1, "the optimizer");
  optimizer_.step(metrics.learning_rate);
  ++step_;
  metrics.step = step_;
  metrics.epoch = static_cast<double>(std::min(step_ * samples_per_step_, total_samples_)) /
                  static_cast<double>(training_.size());
  metrics.tokens = tokens_;
  metrics.seconds = now_seconds() - start_seconds_;
  metrics.tokens_per_second = static_cast<double>(tokens_) / std::max(metrics.seconds, 1e-9);
  metrics.memory_bytes = peak_memory_bytes(model_.device());
  metrics.loader_wait = (loader_->waited_seconds() - waited) / std::max(now_seconds() - begin, 1e-9);
  metrics.imbalance = loaded.imbalance;
  return metrics;
}

bool Trainer::agree_to_stop(bool stop, StepMetrics& metrics) {
  at::Tensor both = at::tensor({stop ? 1.0 : 0.0, metrics.loader_wait}, at::kDouble);
  ranks_.sum(both);
  const auto* sums = both.const_data_ptr<double>();
  metrics.loader_wait = sums[1] / ranks_.world_size();
  return sums[0] > 0.0;
}

void Trainer::check_replicas() {
  if (ranks_.world_size() == 1) return;
  const at::Tensor host = adapter_.values().to(at::kCPU);
  const std::string hash = Hasher()
                               .update(std::as_bytes(std::span(host.const_data_ptr<float>(),
                                                               static_cast<std::size_t>(host.numel()))))
                               .hex();
  if (const auto rank = ranks_.first_unlike_zero(hash)) {
    throw RunError(
        "step " + std::to_string(step_) + ": the adapter of rank " + std::to_string(*rank) +
        " is no longer rank 0's, bit for bit (faulty memory, or machines that differ?); resume from "
        "the last checkpoint");
  }
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
  ranks_.at(0, "the self-test");
  const std::vector<MicroBatch> micros = planner_->plan(step_).ranks[static_cast<std::size_t>(ranks_.rank())];
  if (micros.empty()) return;
  const PackedBatch batch = make_batch(training_, micros.front(), ids_).to(model_.device());
  const auto check = [&](bool wide, std::int64_t max_positions) {
    const Agreement agreement = compare_forwards(model_, batch, wide, max_positions);
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
  ranks_.at(step_, "validation");
  observer_.on_eval(evaluate());
  evaluated_step_ = step_;
}

bool Trainer::run(const std::function<bool()>& should_stop) {
  self_test();
  check_replicas();
  loader_.emplace(training_, ids_, *planner_, ranks_.rank(), model_.device(), options_.loader, step_);
  start_seconds_ = now_seconds();
  observer_.on_start(step_, total_steps_);
  const auto due = [&](std::int64_t every) { return every > 0 && step_ % every == 0; };
  // At the start, and where a stop came between a step and its validation.
  if (step_ == 0 || (due(options_.val_steps) && evaluated_step_ != step_)) validate();
  bool stopped = false;
  while (step_ < total_steps_ && !stopped) {
    StepMetrics metrics = train_step();
    stopped = agree_to_stop(should_stop(), metrics);
    observer_.on_step(metrics, total_steps_);
    const bool last = step_ == total_steps_;
    if (due(options_.replica_check_steps) || last || stopped) check_replicas();
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
  ranks_.at(step_, "saving a checkpoint");
  write_checkpoint(folder, adapter_, optimizer_, {step_, evaluated_step_ == step_, fingerprint()});
  remove_old_checkpoints(options_.checkpoints, options_.keep_last);
  observer_.on_checkpoint(step_, folder);
}

void Trainer::resume(const fs::path& checkpoint) {
  at::Tensor where = at::zeros({3}, at::kLong);  // step, whether it was evaluated, steps of the optimizer
  auto* numbers = where.mutable_data_ptr<std::int64_t>();
  if (ranks_.rank() == 0) {
    const CheckpointState state = read_checkpoint(checkpoint, adapter_, optimizer_);
    if (state.run != fingerprint()) {
      throw UserError(checkpoint.string() + ": is of another run (" + state.run +
                      "; this one: " + fingerprint() +
                      "); give the same data, batch, --seed, --lora_alpha, --use_rslora and --use_dora, or "
                      "start anew in another "
                      "--output_dir");
    }
    numbers[0] = state.step;
    numbers[1] = state.evaluated ? 1 : 0;
    numbers[2] = optimizer_.num_steps();
  }
  ranks_.broadcast(where);
  ranks_.broadcast(adapter_.values());
  ranks_.broadcast(optimizer_.first_moment());
  ranks_.broadcast(optimizer_.second_moment());
  optimizer_.set_num_steps(numbers[2]);
  step_ = numbers[0];
  if (numbers[1] != 0) evaluated_step_ = step_;
}

}  // namespace higgs
