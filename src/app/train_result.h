// OUT/adapter: what a finished run leaves.
#pragma once

#include "higgs/app/base_model.h"
#include "train_options.h"

namespace higgs {

// The adapter with its prompt form and its card; where --early_stopping is on, the best checkpoint's, whose
// values `adapter` then has.
void write_result(const BaseModel& base, const TrainOptions& options, const Dataset& training,
                  const Trainer& trainer, Adapter& adapter);

}  // namespace higgs
