// What `check` prints: problems, the summary with its histograms, the JSON object.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/data/manifest_check.h"

namespace higgs {

// "train.jsonl:12: warning: a.wav: clipped in 3 places; ...", on one line whatever the manifest holds.
std::string problem_line(const std::string& manifest, std::uint64_t line, const Problem& problem);

// Whether stdout is a terminal that shows UTF-8, by the locale's name.
bool shows_blocks();

// Lines with their ends; bars of block characters with `blocks`, else of '#'.
std::string summary_text(const CheckTotals& totals, bool blocks);

// All of it but the manifest's name and its problems.
OrderedJson summary_json(const CheckTotals& totals);

}  // namespace higgs
