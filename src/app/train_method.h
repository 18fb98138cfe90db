// How an adapter is trained, from flags to what trainer and adapter take.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "higgs/app/flags.h"
#include "train_options.h"

namespace higgs {

// Schedule, patterns, modules to save, what early stopping brings with it. UserError.
void complete_method(TrainOptions& options);

// "2,1,1,1,1,1,1,1" -> numbers, none for "". UserError for what isn't one for each codebook.
std::vector<double> parse_codebook_weights(const std::string& text, std::int64_t num_codebooks);

// A new adapter, or the one that --init_adapter names. UserError when flags say otherwise than that one, or
// when a module is to be trained whole that no loss reaches.
std::unique_ptr<Adapter> make_adapter(HiggsModel& model, const FlagTable& table, const TrainOptions& options);

}  // namespace higgs
