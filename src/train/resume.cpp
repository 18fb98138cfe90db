// How a Trainer's state goes into a checkpoint and comes back.
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <span>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/model/lora_linear.h"
#include "higgs/train/trainer.h"

namespace higgs {
namespace {

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string text_of(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ",") + text_of(value);
  return text;
}

std::string text_of(const std::vector<GroupValue>& values) {
  std::string text;
  for (const GroupValue& value : values)
    text += (text.empty() ? "" : ",") + value.group + "=" + text_of(value.value);
  return text;
}

std::string name_of(Schedule schedule) {
  return schedule == Schedule::kCosine ? "cosine" : schedule == Schedule::kLinear ? "linear" : "constant";
}

// Tells bases apart without reading all of them: the first row of each linear map and the last norm, rounded
// to bf16, so that it doesn't depend on --dtype.
std::string base_fingerprint(const HiggsModel& model) {
  Hasher hasher;
  const auto add = [&](const at::Tensor& tensor) {
    const at::Tensor host = tensor.to(at::kBFloat16).to(at::kCPU).contiguous();
    hasher.update(std::span(static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()));
  };
  for (const auto& linear : model.linears()) add(linear->weight()[0]);
  add(model.weight("norm.weight"));
  return hasher.hex().substr(0, 16);
}

std::string whole_modules(const Adapter& adapter) {
  std::string text;
  for (const std::string& name : adapter.trained_modules())
    text += (text.empty() ? " modules_to_save=" : ",") + name;
  return text;
}

constexpr const char* kSamplesPerStep = "samples per step";

// Settings that decide only in which order sums are taken.
const std::set<std::string> kOrderOnly = {"--batch_size", "--tokens_per_batch", "--grad_accum", "ranks",
                                          "threads",      kSamplesPerStep};

std::string changes(const Settings& before, const Settings& now, bool order_only) {
  std::string text;
  for (const auto& [name, value] : now) {
    const auto old =
        std::find_if(before.begin(), before.end(), [&](const auto& s) { return s.first == name; });
    if ((kOrderOnly.count(name) != 0) != order_only || old == before.end() || old->second == value) continue;
    text += (text.empty() ? "" : ", ") + name + " " + old->second + " -> " + value;
  }
  return text;
}

// Says what the rest of the run does not share with the run that was stopped.
void say_what_changed(const CheckpointState& state, const Settings& now) {
  const std::string order = changes(state.settings, now, true), other = changes(state.settings, now, false);
  if (order.find(kSamplesPerStep) != std::string::npos) {
    log::warn("resuming with " + order +
              ": a step has another number of samples than before; the samples go on " +
              "where they stood, " + std::to_string(state.samples) +
              " drawn, none is left out or taken twice; steps and learning rate are planned anew from here");
  } else if (!order.empty()) {
    log::warn("resuming with " + order + ": the same samples in the same steps; sums are taken in another " +
              "order, so what follows equals the run that was stopped up to rounding, not bit for bit");
  }
  if (!other.empty()) log::warn("resuming with other settings: " + other);
}

}  // namespace

// What must stay the same for the run to be the same; its length and learning rate may change on resume.
std::string Trainer::fingerprint() const {
  return "data=" + training_.fingerprint() + " seed=" + std::to_string(options_.seed) +
         " base=" + base_fingerprint(model_) + " lora_alpha=" + text_of(adapter_.config().lora_alpha) +
         (adapter_.config().use_rslora ? " use_rslora" : "") +
         (adapter_.config().use_dora ? " use_dora" : "") + whole_modules(adapter_) +
         (options_.groups != nullptr ? " balance=" + options_.groups->fingerprint() : "");
}

std::string Trainer::samples_per_step_text() const {
  const TrainerOptions& o = options_;
  const SplitOptions split{o.batch_size, o.grad_accum, ranks_.world_size(), o.tokens_per_batch};
  if (o.tokens_per_batch == 0) return std::to_string(split.samples_per_step());
  return "those in " + std::to_string(split.batches_per_step()) + " x " + std::to_string(o.tokens_per_batch) +
         " tokens";
}

Settings Trainer::settings() const {
  const TrainerOptions& o = options_;
  return {{"--batch_size", o.tokens_per_batch > 0 ? "" : std::to_string(o.batch_size)},
          {"--grad_accum", std::to_string(o.grad_accum)},
          {"ranks", std::to_string(ranks_.world_size())},
          {"--tokens_per_batch", std::to_string(o.tokens_per_batch)},
          {kSamplesPerStep, samples_per_step_text()},
          {"threads", std::to_string(at::get_num_threads())},
          {"device", model_.device().type() == at::kCUDA ? "cuda" : "cpu"},
          {"dtype", model_.dtype() == at::kFloat ? "fp32" : "bf16"},
          {"--base_dtype", model_.linears().front()->is_quantized() ? "nf4" : "auto"},
          {"validation", validation_ != nullptr ? validation_->fingerprint() : ""},
          {"--epochs", o.max_steps > 0 ? "" : text_of(o.epochs)},
          {"--max_steps", std::to_string(o.max_steps)},
          {"--lr", text_of(o.learning_rate)},
          {"--warmup", text_of(o.warmup)},
          {"--lr_schedule", name_of(o.schedule)},
          {"--lr_pattern", text_of(o.rates)},
          {"--loraplus_ratio", text_of(o.lora_plus)},
          {"--wd", text_of(o.adamw.weight_decay)},
          {"--max_grad_norm", text_of(o.max_grad_norm)},
          {"--lora_dropout", text_of(adapter_.config().lora_dropout)},
          {"--text_weight", text_of(o.text_loss ? o.objective.text_weight : 0.0)},
          {"--audio_weight", text_of(o.objective.audio_weight)},
          {"--codebook_reduction", o.objective.sum_codebooks ? "sum" : "mean"},
          {"--codebook_weights", text_of(o.objective.codebook_weights)},
          {"--replay_share", text_of(o.replay.share)},
          {"--replay_weight", text_of(o.replay.weight)},
          {"samples of replay", samples_.replay() != nullptr ? samples_.replay()->fingerprint() : ""},
          {"--spike_guard", text_of(o.spike_guard)},
          {"--reference_path", model_.reference_path() ? "true" : "false"}};
}

CheckpointState Trainer::state() {
  CheckpointState state;
  state.step = step_;
  state.samples = planner_->samples_before(step_);
  state.place = planner_->place_before(step_);
  state.origin = planner_->origin();
  state.split = planner_->split_text();
  state.tokens = tokens_;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  state.seconds = seconds_before_ + std::chrono::duration<double>(now).count() - start_seconds_;
  state.evaluated = evaluated_step_ == step_;
  if (state.evaluated) state.validation_loss = validation_loss_;
  if (best_validation_ < std::numeric_limits<double>::infinity()) state.best_validation = best_validation_;
  state.no_better_in_row = num_no_better_;
  state.norm_mean = guard_.mean();
  state.norm_count = guard_.count();
  state.left_out_in_row = num_left_out_;
  state.newest_losses = leak_alarm_.newest();
  state.run = fingerprint();
  state.settings = settings();
  return state;
}

void Trainer::resume(const fs::path& checkpoint) {
  CheckpointState state;
  if (ranks_.rank() == 0) {
    state = read_checkpoint(checkpoint, adapter_, optimizer_);
    if (state.run != fingerprint()) {
      throw UserError(
          checkpoint.string() + ": is of another run (" + state.run + "; this one: " + fingerprint() +
          "); give the same data, --base_ckpt, --seed, --balance, --lora_alpha, --use_rslora, --use_dora and "
          "--modules_to_save, or start anew in another --output_dir");
    }
    say_what_changed(state, settings());
  }
  state = state_from_json(ranks_.broadcast(to_json(state)), checkpoint.string());
  ranks_.broadcast(adapter_.values());
  ranks_.broadcast(optimizer_.first_moment());
  ranks_.broadcast(optimizer_.second_moment());
  optimizer_.set_num_steps(state.optimizer_steps);
  step_ = state.step;
  // Packing begins where the run's did: with the same limits from its origin, with others from where it
  // stands.
  const bool same_split = state.split == planner_->split_text();
  const bool over = options_.max_steps > 0 && options_.max_steps < state.step;
  plan_from(same_split && !over ? state.origin : StepOrigin{state.step, state.place});
  if (!same_split && options_.tokens_per_batch > 0 && ranks_.rank() == 0) {
    log::warn(
        "the samples that are left of this epoch are packed anew: steps are no longer those of a run never "
        "stopped");
  }
  tokens_ = tokens_before_ = state.tokens;
  seconds_before_ = state.seconds;
  if (state.evaluated) evaluated_step_ = step_;
  validation_loss_ = state.validation_loss.value_or(std::numeric_limits<double>::quiet_NaN());
  best_validation_ = state.best_validation.value_or(std::numeric_limits<double>::infinity());
  num_no_better_ = state.no_better_in_row;
  guard_.set(state.norm_mean, state.norm_count);
  num_left_out_ = state.left_out_in_row;
  leak_alarm_.set_newest(state.newest_losses);
  saved_step_ = step_;
}

}  // namespace higgs
