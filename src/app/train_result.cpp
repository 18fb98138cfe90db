#include "train_result.h"

#include "higgs/base/log.h"
#include "higgs/formats/staged_folder.h"
#include "model_card.h"

namespace higgs {
namespace {

std::string samples_per_step(const TrainerOptions& options) {
  const std::string batch = options.tokens_per_batch > 0
                                ? "batches of " + std::to_string(options.tokens_per_batch) + " tokens"
                                : std::to_string(options.batch_size);
  return batch + " x " + std::to_string(options.grad_accum) + " a rank";
}

TrainingFacts facts_of(const BaseModel& base, const TrainOptions& options, const Dataset& training,
                       const Trainer& trainer) {
  TrainingFacts facts;
  facts.base = base.folder();
  facts.base_name = options.base.base_ckpt;
  facts.dtype = options.base.base_dtype == "nf4" ? "nf4" : base.dtype() == at::kFloat ? "fp32" : "bf16";
  facts.samples = static_cast<std::int64_t>(training.size());
  facts.steps = trainer.step();
  facts.samples_per_step = samples_per_step(options.trainer);
  facts.learning_rate = options.trainer.learning_rate;
  facts.seed = options.seed;
  facts.validation_loss = trainer.validation_loss();
  return facts;
}

// A run that ended early has gone on past its best.
void take_best(const fs::path& checkpoints, Adapter& adapter, TrainingFacts& facts) {
  const auto best = best_checkpoint(checkpoints);
  if (!best) return;
  adapter.load_values(*best / "adapter_model.safetensors");
  const CheckpointState state = read_checkpoint_state(*best);
  facts.steps = state.step;
  facts.validation_loss = state.validation_loss;
  log::info("the best checkpoint, by validation loss (audio), is the result: " + best->string());
}

}  // namespace

void write_result(const BaseModel& base, const TrainOptions& options, const Dataset& training,
                  const Trainer& trainer, Adapter& adapter) {
  const fs::path result = fs::path(options.output_dir) / "adapter";
  TrainingFacts facts = facts_of(base, options, training, trainer);
  if (options.trainer.early_stopping > 0) take_best(options.trainer.checkpoints, adapter, facts);
  StagedFolder staged(result);
  adapter.save(staged.path());
  for (const auto& [name, text] : options.trainer.beside_adapter)
    write_file_atomically(staged.path() / name, text);
  write_file_atomically(staged.path() / "README.md", adapter_card(facts, adapter.config()));
  staged.commit_over();
  log::info("adapter: " + result.string());
}

}  // namespace higgs
