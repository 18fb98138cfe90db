#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "auditions.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/app/prompt_file.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/dist/placement.h"
#include "higgs/dist/ranks.h"
#include "higgs/kernels/device.h"
#include "higgs/report/run_log.h"
#include "run_folder.h"
#include "stop_signal.h"
#include "train_method.h"
#include "train_options.h"
#include "train_result.h"
#include "training_data.h"

namespace higgs {
namespace {

// Without a text head there is no text loss: HF checkpoints that were saved again may lack it.
bool use_text_loss(const HiggsModel& model, const FlagTable& table, const TrainOptions& options) {
  if (options.trainer.objective.text_weight == 0.0) return false;
  if (model.has_text_head()) return true;
  if (table.was_given("text_weight")) {
    throw UserError("--text_weight was given, but " + model.folder().string() +
                    " has no text_lm_head.weight");
  }
  log::warn(model.folder().string() + ": has no text head; training on audio alone");
  return false;
}

// What the flags mean for the trainer.
void complete_options(TrainOptions& options, const LaunchInfo& launch) {
  options.lora.seed = static_cast<std::uint64_t>(options.seed);
  options.trainer.seed = static_cast<std::uint64_t>(options.seed);
  options.trainer.objective.sum_codebooks = options.codebook_reduction == "sum";
  options.trainer.self_test = options.self_test == "on";
  complete_method(options);
  if (!options.replay_manifest.empty() && options.trainer.replay.share == 0.0)
    throw UserError("--replay_manifest without --replay_share does nothing; give a share too, such as 0.1");
  options.trainer.go_on_without_checkpoint = options.on_save_error == "continue";
  options.trainer.stop_when_not_finite = options.on_nonfinite == "stop";
  options.trainer.checkpoints = fs::path(options.output_dir) / "checkpoints";
  options.trainer.loader.num_workers =
      options.num_workers > 0 ? static_cast<int>(options.num_workers) : num_loader_threads(launch);
  options.trainer.loader.max_bytes = default_prefetch_bytes(launch.local_size);
}

// What dealing samples out by tokens gains, over the first steps from `first` on.
std::string balance_text(StepPlanner planner, std::int64_t first) {
  double balanced = 0, in_order = 0;
  const std::int64_t steps = std::min<std::int64_t>(planner.total_steps() - first, 200);
  if (steps <= 0) return "tokens over ranks: no step is left";
  for (std::int64_t step = first; step < first + steps; ++step) {
    balanced += planner.plan(step).imbalance();
    in_order += planner.plan_in_order(step).imbalance();
  }
  char text[160];
  std::snprintf(text, sizeof text,
                "tokens over ranks: the busiest has %.1f %% more than the mean (dealt out in order: %.1f %%)",
                100.0 * balanced / static_cast<double>(steps), 100.0 * in_order / static_cast<double>(steps));
  return text;
}

// "rank 16 on 280 linear maps, audio_lm_head whole, 39452672 parameters"
std::string adapter_text(const Adapter& adapter) {
  std::string text;
  if (adapter.num_modules() > 0) {
    text = "rank " + std::to_string(adapter.config().r) +
           (adapter.config().rank_pattern.empty() ? "" : " (by pattern)") + " on " +
           std::to_string(adapter.num_modules()) + " linear maps, ";
  }
  for (const std::string& name : adapter.trained_modules()) text += name + " whole, ";
  return text + std::to_string(adapter.num_parameters()) + " parameters";
}

void say_what_is_shared(const LeakAlarm& alarm) {
  if (alarm.num_shared() == 0) return;
  log::warn(std::to_string(alarm.num_shared()) +
            " validation samples have a reply that is trained on too: validation says little of other clips");
}

// Ranks that train on other data, or with other settings, would each compute something else.
void check_same_everywhere(const TrainingData& data, const FlagTable& table, Collective& ranks) {
  Hasher hasher;
  hasher.update(std::string_view(table.to_toml())).update(std::string_view(data.training.fingerprint()));
  if (data.validation) hasher.update(std::string_view(data.validation->fingerprint()));
  if (data.replay) hasher.update(std::string_view(data.replay->fingerprint()));
  if (data.groups) hasher.update(std::string_view(data.groups->fingerprint()));
  if (const auto rank = ranks.first_unlike_zero(hasher.hex())) {
    throw UserError(
        "rank " + std::to_string(*rank) +
        " has other settings or other training data than rank 0; every machine needs the same flags, "
        "manifests and clips");
  }
}

int train(TrainOptions& options, const FlagTable& table, Collective& ranks) {
  const LaunchInfo& launch = ranks.launch();
  complete_options(options, launch);
  const fs::path output(options.output_dir);
  RunFolder folder(output, {options.resume, options.overwrite});  // rank 0's: it may be on its machine alone
  if (launch.rank == 0) folder.look();
  const bool resuming = ranks.any(!folder.resume_from().empty());

  BaseModel base(options.base, launch.local_rank);
  log::info("base " + base.folder().string() + " on " + base.device().str() +
            (base.dtype() == at::kFloat ? ", fp32" : ", bf16") +
            (launch.world_size > 1 ? ", " + std::to_string(launch.world_size) + " ranks" : ""));
  if (base.device().is_cuda() && options.lora.dropout > 0.0 && !has_cuda_kernels()) {
    throw UserError(
        "this build has no CUDA kernels for --lora_dropout; build with nvcc, or give --lora_dropout 0");
  }
  ranks.use_device(base.device());
  if (!fs::is_directory(options.base.base_ckpt)) options.lora.base_name = options.base.base_ckpt;
  TrainingData data = load_training_data(base, options, ranks);
  check_same_everywhere(data, table, ranks);
  options.trainer.groups = data.groups;
  if (data.replay) options.trainer.replay.samples = &*data.replay;
  if (options.trainer.early_stopping > 0 && !data.validation) {
    throw UserError(
        "--early_stopping needs held-out samples, and there are none; give --val_manifest, or a larger "
        "--val_split");
  }
  const PromptFile prompt{data.training.system_text, data.training.seconds_per_text_token};
  options.trainer.beside_adapter = {{kPromptFileName, prompt_file_text(prompt)}};
  options.trainer.objective.codebook_weights =
      parse_codebook_weights(options.codebook_weights, base.ids().num_codebooks);
  ranks.at(0, "loading the model");
  HiggsModel& model = base.model();
  model.set_reference_path(options.reference_path);
  model.set_gradient_checkpointing(options.gradient_checkpointing);
  options.trainer.text_loss = use_text_loss(model, table, options);
  const std::unique_ptr<Adapter> owned = make_adapter(model, table, options);
  Adapter& adapter = *owned;
  log::info("adapter: " + adapter_text(adapter));

  RunLog run_log(output, options.trainer.log_steps, ranks.world_size(),
                 options.trainer.go_on_without_checkpoint);
  TrainObserver silence;
  Trainer trainer(model, adapter, data.training, data.validation ? &*data.validation : nullptr, base.ids(),
                  options.trainer, ranks.rank() == 0 ? static_cast<TrainObserver&>(run_log) : silence, ranks);
  say_what_is_shared(trainer.leak_alarm());
  if (resuming) {
    trainer.resume(folder.resume_from());
    log::info("resuming from " + folder.resume_from().string());
  }
  if (ranks.world_size() > 1) log::info(balance_text(trainer.planner(), trainer.step()));
  Auditions auditions(base, options, data, run_log, ranks);
  trainer.at_validation([&](std::int64_t step) { auditions.speak_all(step); });
  // Nothing is written there before all ranks have read their data.
  ranks.barrier();
  if (ranks.rank() == 0) folder.take(trainer.step(), table.to_toml());
  const bool finished = trainer.run(stop_requested);
  if (ranks.rank() == 0) {
    if (finished) write_result(base, options, data.training, trainer, adapter);
    run_log.write_report();
    if (!trainer.saved()) throw RunError("the last checkpoint could not be written; what is saved is older");
  }
  ranks.barrier();
  if (!finished) {
    log::info(std::string("stopped; the same command") + (options.overwrite ? " without --overwrite" : "") +
              " continues from the checkpoint");
  }
  return finished ? 0 : 143;
}

}  // namespace

int train_command(const std::vector<std::string>& arguments) {
  install_stop_signals();
  TrainOptions options;
  FlagTable table = options.table();
  const CommandText text{"train",
                         "Trains a LoRA adapter on a JSONL ChatML manifest and writes it as a PEFT folder.",
                         "--train_manifest my_voice/train.jsonl --base_ckpt BASE --output_dir out/my_voice"};
  std::exception_ptr mistake;  // the same on all ranks, most likely: they say it together
  try {
    if (!parse_command_line(text, arguments, table)) return 0;
  } catch (...) {
    mistake = std::current_exception();
  }
  return run_ranks(read_launch(), options.comm_timeout, [&](Collective& ranks) {
    if (mistake) std::rethrow_exception(mistake);
    return train(options, table, ranks);
  });
}

}  // namespace higgs
