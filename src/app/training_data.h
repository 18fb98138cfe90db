// The samples that `train` trains and validates on.
#pragma once

#include <memory>
#include <optional>

#include "higgs/app/base_model.h"
#include "higgs/data/dataset.h"
#include "higgs/dist/collective.h"
#include "train_options.h"

namespace higgs {

struct TrainingData {
  Dataset training;
  std::optional<Dataset> validation, replay;  // the second with --replay_manifest
  std::shared_ptr<const Groups> groups;  // of the training samples, with --balance
};

// Encodes the clips that aren't yet in the cache, all ranks together, and reads the manifests. UserError with
// `manifest:line: reason`.
TrainingData load_training_data(BaseModel& base, const TrainOptions& options, Collective& ranks);

}  // namespace higgs
