// Training and validation, without a text or a stretch of sound in both; and a reference clip for each
// utterance of a voice that is to be cloned.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "higgs/corpus/findings.h"
#include "higgs/corpus/utterance.h"

namespace higgs {

enum class Side : std::uint8_t { kTrain, kVal, kNeither };

struct HoldOutOptions {
  double val_split = 0.05;       // share of the utterances
  std::size_t val_speakers = 0;  // or so many speakers, whole
  std::uint64_t seed = 0;
  // References are going to be drawn: a speaker held out in part has enough for them on both sides.
  bool for_cloning = false;
};

struct Split {
  std::vector<Side> sides;          // of each utterance
  std::vector<std::size_t> groups;  // utterances of one group share a text or some sound
};

// By the seed and the texts alone: clips that come in addition don't move the others from side to side, but
// for a few at the border. With val_speakers, what a held-out speaker says in the words of the others is on
// neither side. UserError when there are too few speakers, or nothing is left to validate with.
Split split_utterances(const std::vector<Utterance>& utterances, const HoldOutOptions& options,
                       Findings& findings);

inline constexpr double kMinReference = 3.0, kMaxReference = 15.0;  // seconds

// For each utterance another of the same speaker on the same side, of another group, kMinReference to
// kMaxReference long; nothing where there is none.
std::vector<std::optional<std::size_t>> draw_references(const std::vector<Utterance>& utterances,
                                                        const Split& split, std::uint64_t seed);

}  // namespace higgs
