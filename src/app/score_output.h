// What `evaluate` prints and writes.
#pragma once

#include <string>
#include <vector>

#include "higgs/app/run_candidates.h"
#include "higgs/base/json.h"
#include "model_score.h"

namespace higgs {

// Tables for people: the figures side by side with their change, per codebook, and by speaker and language
// where there are several. One model, or base and adapter.
std::string score_text(const std::vector<ModelScore>& models);

// A line for each checkpoint, the choice, and the path to use. `base`: null when it wasn't evaluated.
std::string run_text(const ModelScore* base, const std::vector<Candidate>& candidates,
                     const std::vector<ModelScore>& scores, const Choice& choice);

// The fields of an evaluation line of metrics.jsonl, then "samples", "accuracy" and "accuracy_top10" (means
// over codebooks), "speakers" and "languages" (lists), "speech" (object).
OrderedJson score_json(const ModelScore& score);

}  // namespace higgs
