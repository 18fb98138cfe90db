// What `evaluate` finds out about one model: base, or base and adapter.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "evaluate_options.h"
#include "higgs/data/dataset.h"
#include "higgs/train/tally.h"
#include "speech_score.h"

namespace higgs {

struct GroupScore {
  std::string name;  // of a speaker, or a language
  std::int64_t samples = 0;
  EvalMetrics metrics;
};

struct ModelScore {
  std::string name;  // "base", "adapter", "step 200"
  std::int64_t samples = 0;
  EvalMetrics metrics;
  std::vector<GroupScore> speakers, languages;  // most samples first; empty where there is but one
  std::vector<float> sample_losses;             // [samples] LossValues::deciding() of each
  std::optional<SpeechScore> speech;
};

// Mean over codebooks; 0 of none.
double mean_of(const std::vector<double>& codebooks);

// The held-out samples, ready for one model after the other.
class Evaluation {
 public:
  // Encodes the clips. `speak_was_given`: --speak isn't its default, so that what stands in its way (no
  // codec, a manifest that is a pipe) is an error and not a warning. UserError.
  Evaluation(BaseModel& base, const EvaluateOptions& options, bool speak_was_given);

  // Of the base's model as it is, its adapter included. `folder_name`, `seconds_per_text_token`: as
  // SpeechCheck::score().
  ModelScore score(const std::string& name, const std::string& folder_name, double seconds_per_text_token);

 private:
  void prepare_speech(const EvaluateOptions& options, bool speak_was_given);

  BaseModel& base_;
  std::int64_t batch_size_;
  std::optional<HeldOut> held_out_;  // not of a pipe, which can be read only once
  std::optional<Dataset> dataset_;
  std::optional<SpeechCheck> speech_;
};

}  // namespace higgs
