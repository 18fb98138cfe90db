#include "higgs/train/trainer.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "higgs/base/error.h"
#include "higgs/base/format.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/train/evaluate.h"
#include "higgs/train/memory.h"

namespace higgs {
namespace {

constexpr std::int64_t kMostLeftOut = 10;  // steps in a row
constexpr double kMostSamples = 9e15;      // a run may draw

SampleSource source_of(const Dataset& training, const ReplayOptions& replay) {
  if (replay.share == 0.0) return training;
  return {training, replay.samples != nullptr ? replay.samples : &training};
}

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
      samples_(source_of(training, options.replay)),
      observer_(observer),
      ranks_(ranks),
      optimizer_(adapter.values(), adapter.grads(), options.adamw,
                 parameter_groups(adapter, options.rates, options.lora_plus)),
      gradient_(model, adapter, samples_, ids,
                {options.objective, options.text_loss, options.seed, options.replay.weight}, ranks),
      guard_(options.spike_guard, model.device()),
      leak_alarm_(options.leak_alarm, training, validation, ids),
      saver_({options.checkpoints, options.keep_last, options.keep_best, options.go_on_without_checkpoint}) {
  plan_from({});
}

void Trainer::plan_from(StepOrigin origin) {
  const SplitOptions split{options_.batch_size, options_.grad_accum, ranks_.world_size(),
                           options_.tokens_per_batch};
  // As a double: products of what flags allow pass 64 bits.
  const double wanted = options_.epochs * static_cast<double>(training_.size());
  const std::int64_t samples = std::max<std::int64_t>(std::llround(std::min(wanted, kMostSamples)), 1);
  planner_.emplace(training_.lengths(), options_.seed, split, RunLength{samples, options_.max_steps},
                   std::move(origin), options_.groups);
  if (samples_.replay() != nullptr)
    planner_->add_replay(samples_.replay()->lengths(), options_.seed, options_.replay.share);
  const double steps = static_cast<double>(total_steps());
  warmup_steps_ = options_.warmup >= 1.0 ? std::llround(options_.warmup)
                                         : static_cast<std::int64_t>(std::ceil(options_.warmup * steps));
}

Trainer::Pending Trainer::train_step() {
  const double begin = now_seconds(), waited = loader_->waited_seconds();
  ranks_.at(step_ + 1, "loading a batch");
  LoadedStep loaded = loader_->next();
  StepSums sums = gradient_.compute(step_, std::move(loaded.batches));
  const at::Tensor norm = clip_gradient(adapter_.grads(), options_.max_grad_norm);
  const at::Tensor verdict = guard_.judge(sums.losses.sums(), norm);
  const double learning_rate =
      higgs::learning_rate(options_.schedule, step_, warmup_steps_, total_steps(), options_.learning_rate);
  ranks_.at(step_ + 1, "the optimizer");
  optimizer_.step(learning_rate, verdict.ne(0).to(at::kFloat));
  ++step_;
  tokens_ += sums.counts.tokens + sums.replay_counts.tokens;

  StepMetrics metrics;
  metrics.step = step_;
  metrics.learning_rate = learning_rate;
  const std::int64_t samples = planner_->samples_before(step_);
  metrics.epoch = static_cast<double>(samples) / static_cast<double>(training_.size());
  metrics.tokens = tokens_;
  const double seconds = now_seconds() - start_seconds_;
  metrics.seconds = seconds_before_ + seconds;
  metrics.tokens_per_second = static_cast<double>(tokens_ - tokens_before_) / std::max(seconds, 1e-9);
  metrics.memory_bytes = peak_memory_bytes(model_.device());
  metrics.loader_wait = (loader_->waited_seconds() - waited) / std::max(now_seconds() - begin, 1e-9);
  metrics.imbalance = loaded.imbalance;
  const at::Tensor numbers = at::cat(
      {sums.losses.sums(), norm.detach().to(at::kDouble).view({1}), verdict.view({1}), sums.replay.sums()});
  return {std::move(metrics), std::move(sums.counts), std::move(sums.replay_counts), HostCopy(numbers),
          // From groups, a sample may come again at any time.
          options_.groups == nullptr && samples <= static_cast<std::int64_t>(training_.size())};
}

void Trainer::finish(Pending& pending) {
  const double* numbers = pending.numbers.wait();
  StepMetrics& metrics = pending.metrics;
  metrics.loss = loss_values(numbers, pending.counts, options_.objective);
  metrics.grad_norm = numbers[1 + ids_.num_codebooks];
  metrics.verdict = static_cast<Verdict>(static_cast<int>(numbers[2 + ids_.num_codebooks]));
  if (pending.replay_counts.tokens > 0) {
    metrics.replay =
        loss_values(numbers + 3 + ids_.num_codebooks, pending.replay_counts, options_.objective).total;
  }
  if (metrics.verdict != Verdict::kTaken) {
    std::vector<std::string> lines;
    for (const auto& rank : planner_->plan(metrics.step - 1).ranks) {
      for (const MicroBatch& micro : rank) {
        for (const std::size_t sample : micro.samples) lines.push_back(samples_.of(micro).where(sample));
      }
    }
    observer_.on_left_out(metrics, lines, adapter_);
  }
  observer_.on_step(metrics, total_steps());
  judge(metrics);
  if (!pending.new_samples) return;
  if (const auto alarm = leak_alarm_.on_new_samples(metrics.step, metrics.loss)) fail(*alarm);
}

void Trainer::finish_last() {
  if (!pending_) return;
  Pending last = std::move(*pending_);
  pending_.reset();
  finish(last);
}

void Trainer::judge(const StepMetrics& metrics) {
  if (metrics.verdict != Verdict::kNotFinite) {
    num_left_out_ = 0;
    return;
  }
  if (++num_left_out_ < kMostLeftOut && !options_.stop_when_not_finite) return;
  fail("step " + std::to_string(metrics.step) + ": loss or gradient " +
       (num_left_out_ < kMostLeftOut
            ? "is not finite"
            : "was not finite in " + std::to_string(num_left_out_) + " steps in a row") +
       " (loss " + std::to_string(metrics.loss.total) + ", gradient norm " +
       std::to_string(metrics.grad_norm) +
       "); the adapter did not move in it: look at the samples named above, or lower --lr");
}

void Trainer::fail(const std::string& what) {
  if (!failure_) failure_ = what;
}

Trainer::Agreed Trainer::agree(bool stop, bool save, StepMetrics& metrics) {
  at::Tensor all = at::tensor({stop ? 1.0 : 0.0, save ? 1.0 : 0.0, metrics.loader_wait}, at::kDouble);
  ranks_.sum(all);
  const auto* sums = all.const_data_ptr<double>();
  metrics.loader_wait = sums[2] / ranks_.world_size();
  return {sums[0] > 0.0, sums[1] > 0.0};
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
  if (!options_.self_test || step_ >= total_steps()) return;
  ranks_.at(0, "the self-test");
  const std::vector<MicroBatch> micros = planner_->plan(step_).ranks[static_cast<std::size_t>(ranks_.rank())];
  if (micros.empty()) return;
  const PackedBatch batch = make_batch(samples_.of(micros.front()), micros.front(), ids_).to(model_.device());
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

bool Trainer::validate() {
  const bool better = validation_ != nullptr && validate_on_held_out();
  if (validation_ != nullptr) num_no_better_ = better ? 0 : num_no_better_ + 1;
  evaluated_step_ = step_;
  if (at_validation_ && !failure_) {
    const double begin = now_seconds();
    at_validation_(step_);
    start_seconds_ += now_seconds() - begin;  // not a time of training
  }
  return better;
}

bool Trainer::validate_on_held_out() {
  ranks_.at(step_, "validation");
  const EvalMetrics metrics = evaluate();
  observer_.on_eval(metrics);
  if (const auto alarm = leak_alarm_.on_held_out(step_, metrics.loss)) fail(*alarm);
  validation_loss_ = metrics.loss.deciding();
  const bool better = validation_loss_ < best_validation_;
  if (better) best_validation_ = validation_loss_;
  return better;
}

bool Trainer::run(const std::function<bool()>& should_stop) {
  self_test();
  check_replicas();
  loader_.emplace(samples_, ids_, *planner_, ranks_.rank(), model_.device(), options_.loader, step_);
  start_seconds_ = saved_at_ = now_seconds();
  observer_.on_start({step_, total_steps(), seconds_before_, evaluated_step_ == step_});
  const auto due = [&](std::int64_t every) { return every > 0 && step_ % every == 0; };
  // At the start, and where a stop came between a step and its validation.
  if (step_ == 0 || (due(options_.val_steps) && evaluated_step_ != step_)) {
    if (validate() && options_.keep_best > 0 && step_ > 0) save_checkpoint();  // again, with its loss
    if (failure_) end_with_failure();
  }
  bool stopped = false;
  while (step_ < total_steps() && !stopped && !ends_early()) {
    std::optional<Pending> next;
    try {
      next.emplace(train_step());
    } catch (...) {
      save_what_is_done();
      throw;
    }
    const Agreed agreed = agree(should_stop(), time_to_save(), next->metrics);
    stopped = agreed.stop;
    finish_last();
    pending_ = std::move(next);
    if (saver_.finished()) finish_saving();

    const bool last = step_ == total_steps();
    const bool validation_due = last || (due(options_.val_steps) && !stopped);
    bool save_due = due(options_.save_steps) || last || stopped || agreed.save;
    if (due(options_.replica_check_steps) || last || stopped) check_replicas();
    if (validation_due || save_due || failure_) finish_last();
    if (validation_due && !failure_ && validate() && options_.keep_best > 0) save_due = true;
    save_due |= ends_early();
    if (save_due || failure_) save_checkpoint();
    if (failure_) end_with_failure();
  }
  finish_saving();
  if (ends_early()) {
    log::info("step " + std::to_string(step_) + ": " + std::to_string(num_no_better_) +
              " validations in a row were no better than " + formatted("%.4f", best_validation_) +
              "; the run ends early");
  }
  return step_ >= total_steps() || ends_early();
}

void Trainer::end_with_failure() {
  finish_saving();
  ranks_.barrier();  // all have come to this; none ends the job before rank 0 has saved
  throw RunError(*failure_ + (saver_.failed() ? "; the last steps could not be saved"
                              : step_ > 0     ? "; step " + std::to_string(step_) + " is saved"
                                              : ""));
}

void Trainer::save_what_is_done() noexcept {
  if (ranks_.rank() != 0 || (step_ == saved_step_ && !saver_.failed())) return;
  try {
    finish_last();
    save_checkpoint();
    finish_saving();
  } catch (const std::exception& error) {
    log::warn(error.what());
  } catch (...) {
    log::warn("the steps before could not be saved");
  }
}

bool Trainer::time_to_save() const {
  return options_.save_minutes > 0.0 && now_seconds() - saved_at_ >= 60.0 * options_.save_minutes;
}

void Trainer::save_checkpoint() {
  saved_step_ = step_;
  saved_at_ = now_seconds();
  if (ranks_.rank() != 0) return;
  ranks_.at(step_, "saving a checkpoint");
  finish_saving();  // of the one before
  saver_.start(CheckpointImage(adapter_, optimizer_, state(), options_.beside_adapter),
               [this] { observer_.before_commit(); });
}

void Trainer::finish_saving() {
  // The others may wait for this rank meanwhile: a slow disk is no hang.
  if (const auto saved = saver_.wait([this] { ranks_.progress(); })) {
    observer_.on_checkpoint(saved->step, saved->folder);
  }
}

}  // namespace higgs
