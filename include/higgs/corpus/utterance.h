// What people have, as one thing: a stretch of a recording, what is said in it, and who says it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct Turn {
  std::string speaker, text;
};

// A clip to train on. One turn, except in a dialogue.
struct Utterance {
  fs::path audio;                          // as it can be opened
  std::optional<double> offset, duration;  // seconds; absent: the whole file
  double seconds = 0.0;
  std::vector<Turn> turns;
  std::string where;  // "metadata.csv:12": what it comes from, for messages

  const std::string& speaker() const { return turns.front().speaker; }
};

// A word of a transcript; recognisers leave out the times of words that they couldn't place.
struct TimedWord {
  std::optional<double> begin, end;  // seconds
  std::string text;
};

// A stretch of a long recording, as a transcript has it.
struct Segment {
  double begin = 0.0, end = 0.0;  // seconds
  std::string text;
  std::string speaker;  // "" when the transcript doesn't say
  std::vector<TimedWord> words;
  std::string where;
};

}  // namespace higgs
