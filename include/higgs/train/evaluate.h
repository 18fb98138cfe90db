// Held-out losses and accuracies of a model with or without adapter.
#pragma once

#include "higgs/train/trainer.h"

namespace higgs {

// Over every sample once, dropout off; losses are normalised over all of them. Each rank takes its share; all
// get the result. `step` is left 0.
EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss,
                     Collective& ranks);

}  // namespace higgs
