// The smallest stretches that a recording is cut into.
#pragma once

#include <string>
#include <vector>

#include "higgs/corpus/cut.h"

namespace higgs {

struct Atom {
  double begin = 0.0, end = 0.0;
  std::vector<Turn> turns;  // more than one where speakers talk over each other
  std::string where;
  bool ends_segment = true;
  // Texts of one segment's atoms are parts of its text and follow each other as they are.
  bool continues_text = false;
  // Silence around it, as far as the transcript knows.
  double room_before = 0.0, room_after = 0.0;
};

// Atoms that may be merged with their neighbours: no longer silence between them, one speaker, or any when
// options.across_speakers.
using Run = std::vector<Atom>;

std::vector<Run> make_runs(const std::vector<Segment>& segments, double seconds, const CutOptions& options,
                           Findings& findings);

}  // namespace higgs
