// Auditions: the same prompts spoken at each validation, as files in samples/ and lines of metrics.jsonl.
#pragma once

#include <cstdint>
#include <string>

#include "higgs/audio/waveform.h"
#include "higgs/base/json.h"

namespace higgs {

struct AuditionClip {
  std::int64_t step = 0;
  std::size_t prompt = 0;  // from 0
  std::string text;        // what is to be said
  Waveform sound;          // empty: nothing was said
  bool stopped = false;    // by itself, not by the limit
};

// What was recorded for a prompt, to compare with.
struct AuditionReference {
  std::size_t prompt = 0;
  std::string text;
  Waveform sound;
};

// Below the run's folder: "samples/step-000200/0.ogg", "samples/reference/0.ogg".
std::string sound_file_of(const AuditionClip& clip);
std::string sound_file_of(const AuditionReference& reference);

// Lines of metrics.jsonl: {"kind":"audition",...} and {"kind":"reference",...}; docs/watching.md lists the
// fields.
OrderedJson metrics_object(const AuditionClip& clip);
OrderedJson metrics_object(const AuditionReference& reference);

}  // namespace higgs
