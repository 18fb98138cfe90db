// A small training run on goldens hf/model and e2e/manifest.jsonl, for tests of the trainer and its
// checkpoints.
#pragma once

#include <ATen/Parallel.h>

#include <memory>
#include <optional>
#include <vector>

#include "higgs/model/special_ids.h"
#include "higgs/train/trainer.h"
#include "support/paths.h"

namespace higgs::test {

// Keeps what it is told.
struct Recorder : TrainObserver {
  std::vector<StepMetrics> steps;
  std::vector<EvalMetrics> evals;
  std::vector<fs::path> checkpoints;
  std::vector<std::vector<std::string>> left_out;
  void on_left_out(const StepMetrics&, const std::vector<std::string>& lines, const Adapter&) override {
    left_out.push_back(lines);
  }
  void on_step(const StepMetrics& metrics, std::int64_t) override { steps.push_back(metrics); }
  void on_eval(const EvalMetrics& metrics) override { evals.push_back(metrics); }
  void on_checkpoint(std::int64_t, const fs::path& folder) override { checkpoints.push_back(folder); }
};

class TinyRun {
 public:
  explicit TinyRun(const fs::path& checkpoints, at::Device device = at::kCPU,
                   at::ScalarType dtype = at::kFloat)
      : model(golden("hf/model"), dtype, device), tokenizer(load_tokenizer(golden("hf/model"))) {
    at::set_num_threads(1);  // sums in one order: runs are compared bit by bit
    ids = special_ids(model.config(), *tokenizer);
    load(golden("e2e/manifest.jsonl"));
    lora.r = 4;
    lora.dropout = 0.2;
    options.batch_size = 2;
    options.learning_rate = 1e-2;
    options.max_steps = 6;
    options.seed = 5;
    options.checkpoints = checkpoints;
  }

  void load(const fs::path& manifest) {
    CodeStore store([]() -> std::unique_ptr<AudioTokenizer> { return nullptr; }, "", ids.num_codebooks,
                    ids.codebook_size);
    data = Dataset::load(manifest, *tokenizer, store, ids, {});
  }

  // Builds adapter and trainer from `lora` and `options`.
  Trainer& make() {
    adapter.emplace(model, lora);
    trainer.emplace(model, *adapter, data, nullptr, ids, options, recorder, ranks);
    return *trainer;
  }
  // Trains until `last_step`, or to the end.
  bool run(std::int64_t last_step = 1000) {
    return trainer->run([&] { return trainer->step() >= last_step; });
  }

  HiggsModel model;
  std::unique_ptr<Tokenizer> tokenizer;
  SpecialIds ids;
  Dataset data;
  LoraOptions lora;
  TrainerOptions options;
  Recorder recorder;
  Collective ranks{LaunchInfo{}, 1};
  std::optional<Adapter> adapter;
  std::optional<Trainer> trainer;
};

}  // namespace higgs::test
