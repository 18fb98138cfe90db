// Held-out losses and accuracies of a model with or without adapter.
#pragma once

#include <functional>

#include "higgs/train/tally.h"

namespace higgs {

// Given each sample's place in the data set and what was counted in it.
using SampleSink = std::function<void(std::size_t, const Tally&)>;

// Over every sample once, dropout off; losses are normalised over all of them. Each rank takes its share, of
// which it alone tells `on_sample`; all get the result. `step` is left 0.
EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss,
                     Collective& ranks, const SampleSink& on_sample = {});

}  // namespace higgs
