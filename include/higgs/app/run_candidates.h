// The checkpoints of a run, and which of them is best on held-out samples.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

// A PEFT folder that a run left.
struct Candidate {
  std::string name;       // "step 200"; "adapter" for OUTPUT_DIR/adapter when it is no checkpoint's
  std::int64_t step = 0;  // -1: not known
  fs::path folder;
};

// Every whole checkpoint in OUTPUT_DIR/checkpoints, by step, and OUTPUT_DIR/adapter behind them. An adapter
// of the same bytes as a checkpoint's stands in its place. Damaged ones are warned of and left out. UserError
// when there is none.
std::vector<Candidate> candidates_of_run(const fs::path& output_dir);

// What held-out samples say of a candidate.
struct Outcome {
  std::string name;
  double loss = 0.0;                 // held-out audio loss, nats
  std::vector<float> sample_losses;  // [samples], the same in the same order for all
};

struct Choice {
  std::size_t best = 0;
  double ahead_of_next = 0.0, ahead_of_last = 0.0;  // nats; 0 without such
  // The held-out loss of the last is above the best's by more than twice the standard error of the mean
  // difference over samples: training went on while held-out loss rose.
  bool overfitted = false;
  bool beats_base = true;  // true without base
  std::string reason;      // one sentence
};

// `outcomes`: in the order of training, at least one. The lowest loss is best, the earliest among equals; a
// loss that is no number never is.
Choice choose_best(const std::vector<Outcome>& outcomes, const std::optional<double>& base_loss);

}  // namespace higgs
