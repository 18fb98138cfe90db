// What is wrong with one sample of a manifest, for people: everything that training would refuse, and what it
// would learn without a word although nobody wants it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/audio/clip_check.h"
#include "higgs/base/hash.h"
#include "higgs/data/chatml.h"
#include "higgs/data/clip_folder.h"
#include "higgs/data/dataset.h"
#include "higgs/text/script.h"

namespace higgs {

// An error: training would fail, or learn what is wrong. A warning: worth hearing the clip, or a look.
enum class Grade { kWarning, kError };

struct Problem {
  std::string kind;  // one of docs/data.md's, "clipping"
  Grade grade = Grade::kWarning;
  std::string message;  // what is wrong, what to do
};

// How a sample uses a clip.
enum class ClipUse {
  kHeard,      // in a user or system turn
  kReference,  // said by the assistant, but not learnt
  kReply,      // said and learnt
};

struct CheckedClip {
  ClipUse use = ClipUse::kReply;
  std::string name;  // as the manifest names it, with its range
  Hash128 hash;      // of its samples, or of its codes
  double seconds = 0.0;
};

// How fast a text is spoken.
struct SpeechRate {
  Script script = Script::kOther;
  double per_second = 0.0;  // characters
  bool is_judged = false;   // a problem was made of it already
};

struct CheckedSample {
  std::uint64_t line = 0;  // of the manifest, from 1
  std::vector<Problem> problems;
  std::string speaker;  // "": none is named
  std::vector<CheckedClip> clips;
  std::optional<Hash128> text;  // of speaker and what is to be spoken, capitals and punctuation aside
  std::vector<SpeechRate> rates;
  std::int64_t num_tokens = 0, num_supervised = 0;  // 0 without a base, or where they aren't known
};

// What only a base tells.
struct CheckedBase {
  const Tokenizer* tokenizer = nullptr;
  SpecialIds ids;
  bool is_hf = false;  // in the HF layout
  // Frames of a clip of so many samples at that rate; 0: too short. Any number of threads at once.
  std::function<std::int64_t(std::size_t num_samples, int sample_rate)> num_frames;
};

struct CheckOptions {
  std::int64_t max_tokens = 8192;
  std::optional<CheckedBase> base;
};

// Limits without a place of their own; those of the sound are in audio/clip_check.h. Seconds unless said.
inline constexpr double kMostSilenceAtEnds = 0.7;  // more is learnt as a pause before and after each text
inline constexpr double kLeastReference = 3.0, kMostReference = 15.0;  // what a voice is followed well from
inline constexpr int kModelRate = 24000;  // Hz: what is recorded below lacks part of what the model speaks
// LUFS. Broadcast speech has -23, podcasts -16; far from that the model learns another distance, or noise.
inline constexpr double kLeastLufs = -35.0, kMostLufs = -10.0;

// Characters a second that someone can speak in a script.
struct RateLimits {
  double least, most;
};
RateLimits rate_limits(Script script);

class SampleChecker {
 public:
  explicit SampleChecker(CheckOptions options);
  // Reads the sample's clips. Any number of threads at once.
  CheckedSample check(std::string_view line, std::uint64_t number, const ClipFolder& folder) const;

 private:
  CheckOptions options_;
  std::optional<SampleTokenizer> to_tokens_;
};

}  // namespace higgs
