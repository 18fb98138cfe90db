// README.md of an adapter and of a merged checkpoint.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "higgs/formats/peft_config.h"
#include "higgs/model/config.h"

namespace higgs {

struct MergeFacts {
  fs::path base;          // folder
  std::string base_name;  // as it was given on the command line
  fs::path adapter;       // folder
  Layout layout = Layout::kHf;
  std::size_t num_merged = 0;
  std::vector<std::string> replaced;  // names of whole tensors
  std::string dtype;                  // "as the base", "bf16", "fp32"
};

// What a run says of itself beside its adapter: nothing that a run which was stopped and went on would say
// otherwise.
struct TrainingFacts {
  fs::path base;          // folder
  std::string base_name;  // as it was given on the command line
  std::string dtype;      // "bf16", "fp32", "nf4"
  std::int64_t samples = 0, steps = 0;
  std::string samples_per_step;  // as set: "2 x 8 a rank"
  double learning_rate = 0.0;
  std::int64_t seed = 0;
  std::optional<double> validation_loss;  // of the last validation, nats a code
};

// The card of an adapter: front matter as the hub and PEFT read it, the base and its licence, how it was
// trained.
std::string adapter_card(const TrainingFacts& facts, const PeftConfig& adapter);

// Front matter and a table: the base, its licence as its own card or LICENSE says, the adapter and how it was
// trained, by its own card too. Folders stand there by their last name only: where they lay on this machine
// is nobody's business.
std::string model_card(const MergeFacts& facts, const PeftConfig& adapter);

}  // namespace higgs
