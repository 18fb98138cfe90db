// The training run that the fault programs stop, starve and damage, and what a run that was never disturbed
// makes of it: each step's checkpoint, the metrics, the adapter.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "job.h"
#include "report.h"

namespace higgs::test {

using Json = nlohmann::json;

struct TrainingPlan {
  fs::path binary;
  int ranks = 1;
  int threads = 1;  // of a rank: any number, as long as it stays
  int steps = 20;
  int keep_last = 3;
  std::uint64_t seed = 1;  // of the run itself: shuffling, dropout
  fs::path cache;          // of clips' codes
};

// `higgs_train train` on the goldens: dropout, a checkpoint each step, validation every fifth. Later flags in
// `more` win.
Arguments training(const TrainingPlan& plan, const fs::path& output, const Arguments& more = {});
Environment training_environment(const TrainingPlan& plan, const Environment& more = {});

// What a run computed, without what clocks say.
struct Reference {
  std::map<std::int64_t, std::string> checkpoints;  // step -> hash of adapter and optimizer state
  std::vector<Json> metrics;                        // lines of metrics.jsonl
  std::string adapter;                              // bytes of the result
};

// Of a finished run that kept each checkpoint.
Reference reference_of(const fs::path& output);
// Runs to the end, keeping each checkpoint.
Reference make_reference(const TrainingPlan& plan, const fs::path& output);

std::string checkpoint_hash(const fs::path& folder);
// Lines of metrics.jsonl without the fields that depend on time; one cut short at the end of the file is left
// out.
std::vector<Json> metrics_of(const fs::path& output);

struct CheckpointState {
  std::int64_t newest = -1;         // whole and equal to the reference's; -1: none
  std::vector<std::string> faults;  // not whole, or other bytes than the reference's
  int num_temporary = 0;            // folders of unfinished saves
};
CheckpointState look_at_checkpoints(const fs::path& output, const Reference& reference);
// The highest step that stands under its final name: whoever sees it may rely on it. -1: none.
std::int64_t newest_visible(const fs::path& output);

// How lines that are there so far differ from the reference's; "" when they don't.
std::string metrics_difference(const fs::path& output, const Reference& reference);
// How a finished run differs from the reference: adapter, checkpoints, metrics, leftovers. One text for each
// difference.
std::vector<std::string> end_differences(const fs::path& output, const Reference& reference);

}  // namespace higgs::test
