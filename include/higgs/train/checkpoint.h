// A checkpoint of training: adapter (a PEFT folder), optimizer moments, and where the run stands.
#pragma once

#include <string>

#include "higgs/formats/checkpoint_folder.h"
#include "higgs/model/adapter.h"
#include "higgs/train/optimizer.h"

namespace higgs {

struct CheckpointState {
  std::int64_t step = 0;
  bool evaluated = false;  // validation of this step was done
  std::string run;         // what must be the same for the run to continue
};

void write_checkpoint(const fs::path& folder, const Adapter& adapter, AdamW& optimizer,
                      const CheckpointState& state);

// UserError when the folder is incomplete, damaged, or of another adapter.
CheckpointState read_checkpoint(const fs::path& folder, Adapter& adapter, AdamW& optimizer);

void remove_old_checkpoints(const fs::path& root, std::int64_t keep_last);

}  // namespace higgs
