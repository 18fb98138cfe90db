// The part of report.html that is heard: a player for each prompt and step, and how clips ended.
#pragma once

#include <string>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/base/json.h"

namespace higgs {

// Sound that is put into the page, as base64. What doesn't fit is linked to where it lies in the run's
// folder.
inline constexpr std::size_t kMostSound = 19'000'000;

// `lines` of metrics.jsonl; sound is read below `run_folder`, what isn't there is left out. "" when nothing
// was auditioned.
std::string audition_table(const std::vector<Json>& lines, const fs::path& run_folder,
                           std::size_t most_sound = kMostSound);

// A row for each validation: how many clips stopped by themselves, their length beside the recordings', the
// silence at their ends.
std::string stop_table(const std::vector<Json>& lines);

}  // namespace higgs
