// How held-out samples sound when a model speaks them: whether it ends, at which length, and how far from
// the recording.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "higgs/app/base_model.h"
#include "higgs/app/held_out.h"
#include "higgs/model/sampling.h"

namespace higgs {

struct SpokenScore {
  std::uint64_t line = 0;  // of the manifest
  bool stopped = false;    // by itself, not at the limit
  double seconds = 0.0, recorded_seconds = 0.0;
  double silent_tail = 0.0;  // seconds after the last voice; all of a clip without any
  // aligned_distance() of the codec's latents (codec/alignment.h) to the sample's own recording, and to that
  // of another spoken sample: the next with another clip, of the same speaker if there is one. Nothing where
  // the model said nothing, or there is no other.
  std::optional<double> distance, distance_to_other;
  fs::path wav;  // "" when it isn't kept

  double length_error() const { return seconds / recorded_seconds - 1.0; }
};

struct SpeechScore {
  std::vector<SpokenScore> clips;

  double stop_rate() const;
  double silent_tail() const;  // means over clips, here and below
  double length_error() const;
  double absolute_length_error() const;
  double distance() const;  // NaN without any
  double distance_to_other() const;
};

class SpeechCheck {
 public:
  struct Options {
    std::size_t count = 16;  // samples, evenly spread
    SamplingOptions sampling;
    std::uint64_t seed = 0;  // sample i is drawn as `generate --manifest --seed` draws it
    fs::path out_dir;        // for the clips; "": they aren't kept
  };
  // Reads and encodes the recordings. UserError when there is no codec.
  SpeechCheck(BaseModel& base, const fs::path& manifest, const HeldOut& held_out, Options options);

  std::size_t size() const { return samples_.size(); }
  // Speaks with the model as it is, its adapter included. `name`: of the folder for the clips.
  // `seconds_per_text_token`: as higgs_prompt.json has it, 0: unknown; sets the limit of length.
  SpeechScore score(const std::string& name, double seconds_per_text_token) const;

 private:
  struct Sample {
    HeldOutPrompt held_out;
    std::size_t speaker = 0;
    Codes recorded;
    at::Tensor latents;                // of `recorded`
    std::optional<std::size_t> other;  // place in samples_
  };
  SpokenScore score(const Sample& sample, const fs::path& folder, double seconds_per_text_token) const;
  std::optional<std::size_t> other_than(std::size_t i) const;

  BaseModel& base_;
  Options options_;
  std::vector<Sample> samples_;
};

}  // namespace higgs
