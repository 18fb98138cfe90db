#include "higgs/app/run_candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/formats/checkpoint_folder.h"
#include "higgs/train/checkpoint.h"
#include "text_table.h"

namespace higgs {
namespace {

constexpr const char* kWeights = "adapter_model.safetensors";

std::string hash_of_weights(const fs::path& folder) {
  Hasher hasher;
  read_in_pieces(folder / kWeights, [&](std::span<const std::byte> piece) { hasher.update(piece); });
  return hasher.hex();
}

// Standard error of the mean of a - b over samples; infinite when there are too few to tell.
double standard_error(const std::vector<float>& a, const std::vector<float>& b) {
  const auto n = static_cast<double>(a.size());
  if (a.size() < 2 || a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double mean = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i)
    mean += (static_cast<double>(a[i]) - static_cast<double>(b[i])) / n;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double off = static_cast<double>(a[i]) - static_cast<double>(b[i]) - mean;
    squares += off * off;
  }
  return std::sqrt(squares / (n - 1.0) / n);
}

bool is_better(double loss, double than) {
  return loss < than || (std::isnan(than) && !std::isnan(loss));
}

// What comes of the last being the best, or not.
std::string ending_text(const std::vector<Outcome>& outcomes, const Choice& choice) {
  if (outcomes.size() == 1) return "";
  if (choice.best + 1 == outcomes.size()) return "; it is the last, so nothing was lost by training on";
  const std::string last = "; the last (" + outcomes.back().name + ") is ";
  if (choice.overfitted) {
    return last + "overfitted: training went on while held-out loss rose by " +
           decimal(choice.ahead_of_last, 4);
  }
  return last + decimal(choice.ahead_of_last, 4) + " behind, no more than chance may do over these samples";
}

}  // namespace

std::vector<Candidate> candidates_of_run(const fs::path& output) {
  if (!fs::is_directory(output))
    throw UserError("--run " + output.string() + ": is no folder; give the --output_dir of a run");
  std::vector<Candidate> all;
  std::vector<std::string> hashes;
  for (const CheckpointEntry& entry : list_checkpoints(output / "checkpoints")) {
    if (const auto fault = training_checkpoint_fault(entry.folder)) {
      log::warn(entry.folder.string() + ": passed over: " + *fault);
      continue;
    }
    all.push_back({"step " + std::to_string(entry.step), entry.step, entry.folder});
  }
  std::reverse(all.begin(), all.end());
  for (const Candidate& one : all) hashes.push_back(hash_of_weights(one.folder));
  const fs::path result = output / "adapter";
  if (fs::exists(result / kWeights)) {
    const auto same = std::find(hashes.begin(), hashes.end(), hash_of_weights(result));
    if (same == hashes.end()) {
      all.push_back({"adapter", -1, result});
    } else {
      all[static_cast<std::size_t>(same - hashes.begin())].folder = result;
    }
  }
  if (all.empty()) {
    throw UserError("--run " + output.string() +
                    ": holds no checkpoint and no adapter; give the --output_dir of a run, or --adapter");
  }
  return all;
}

Choice choose_best(const std::vector<Outcome>& outcomes, const std::optional<double>& base_loss) {
  HIGGS_ASSERT(!outcomes.empty());
  Choice choice;
  for (std::size_t i = 1; i < outcomes.size(); ++i) {
    if (is_better(outcomes[i].loss, outcomes[choice.best].loss)) choice.best = i;
  }
  const Outcome& best = outcomes[choice.best];
  const Outcome* next = nullptr;
  for (const Outcome& one : outcomes) {
    if (&one != &best && (next == nullptr || is_better(one.loss, next->loss))) next = &one;
  }
  std::string& reason = choice.reason;
  reason = best.name + " is best by held-out audio loss, " + decimal(best.loss, 4) + " nats";
  if (next != nullptr) {
    choice.ahead_of_next = next->loss - best.loss;
    choice.ahead_of_last = outcomes.back().loss - best.loss;
    choice.overfitted =
        choice.ahead_of_last > 2.0 * standard_error(outcomes.back().sample_losses, best.sample_losses);
    reason += ", " + decimal(choice.ahead_of_next, 4) + " ahead of the next (" + next->name + ")";
    if (next != &outcomes.back() && &best != &outcomes.back())
      reason += " and " + decimal(choice.ahead_of_last, 4) + " of the last";
  } else {
    reason += ", and the only one there is";
  }
  reason += ending_text(outcomes, choice);
  if (base_loss && !(best.loss < *base_loss)) {
    choice.beats_base = false;
    reason += "; but the base alone is no worse (" + decimal(*base_loss, 4) + ")";
  }
  reason += ".";
  return choice;
}

}  // namespace higgs
