// README.md of a merged checkpoint.
#pragma once

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

// Front matter and a table: the base, its licence as its own card or LICENSE says, the adapter and how it was
// trained. Folders stand there by their last name only: where they lay on this machine is nobody's business.
std::string model_card(const MergeFacts& facts, const PeftConfig& adapter);

}  // namespace higgs
