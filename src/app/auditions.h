// Auditions of a training run: prompts spoken where a validation is due, the same at every step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "higgs/app/base_model.h"
#include "higgs/app/speech.h"
#include "higgs/dist/collective.h"
#include "higgs/report/run_log.h"
#include "train_options.h"
#include "training_data.h"

namespace higgs {

class Auditions {
 public:
  // Takes --auditions prompts from the held-out samples (from the training samples where there are none),
  // evenly over them, and the lines of --audition_texts. UserError: a text file that can't be used. Says why
  // when there are none: no codec, no sample with sound. `run_log` is rank 0's.
  Auditions(BaseModel& base, const TrainOptions& options, const TrainingData& data, RunLog& run_log,
            Collective& ranks);

  // On every rank, each speaks its share; rank 0 keeps the sound, and draws report.html. What can't
  // be spoken, for lack of memory or for numbers that aren't finite, is warned of and left out.
  void speak_all(std::int64_t step);

 private:
  struct Prompt {
    ChatMLSample chat;
    std::string where, text;
    std::optional<AudioContent> recording;
    std::size_t num_tokens = 0;
  };
  void take_texts(const std::string& path);
  void take_samples(const Dataset& dataset, std::int64_t count);
  void keep_recordings();
  Waveform recording_of(const Prompt& prompt) const;
  // By prompt, packed; kNothing for what memory didn't suffice for, or an adapter isn't fit to say.
  std::map<std::size_t, std::string> speak(const std::vector<std::size_t>& prompts) const;

  BaseModel& base_;
  RunLog& run_log_;
  Collective& ranks_;
  std::string system_;
  double seconds_per_text_token_;
  SamplingOptions sampling_;
  std::uint64_t seed_;
  std::vector<Prompt> prompts_;
};

}  // namespace higgs
