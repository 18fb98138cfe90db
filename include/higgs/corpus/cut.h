// Long recordings -> clips of a usable length: neighbouring segments are merged and long ones cut, at pauses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "higgs/corpus/findings.h"
#include "higgs/corpus/utterance.h"

namespace higgs {

struct CutOptions {
  double min_seconds = 3.0, max_seconds = 20.0;
  double max_pause = 1.0;        // a longer silence isn't kept inside a clip
  bool across_speakers = false;  // a clip may hold several speakers' turns
};

// The quietest moment of a stretch, and how loud it is there: 0 silence, 1 as the recording's mean or louder.
struct QuietPlace {
  double time = 0.0, level = 0.0;
};
using FindQuiet = std::function<QuietPlace(double begin, double end)>;

// A clip of one recording.
struct Piece {
  double begin = 0.0, end = 0.0;  // seconds
  std::vector<Turn> turns;        // neighbours have different speakers
  std::string where;
};

// `segments`: of one recording of `seconds`. Cuts fall between segments, or between the words of one that is
// longer than max_seconds, where the pause is long; without a pause, where `find_quiet` says. A text is
// divided only at words whose times are known. Pieces have min_seconds to max_seconds; what can't be brought
// there, and speech over other speech (unless across_speakers), goes to `findings`.
std::vector<Piece> cut_at_pauses(const std::vector<Segment>& segments, double seconds,
                                 const CutOptions& options, const FindQuiet& find_quiet, Findings& findings);

}  // namespace higgs
