// What a manifest of held-out samples says of them beside what is learnt: who speaks, in which language, and
// which have a reply to compare with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "higgs/data/chatml.h"
#include "higgs/data/clip_folder.h"

namespace higgs {

// Samples by some property; those without it are of the group "(none)".
struct Grouping {
  std::vector<std::string> names;  // in the order they come
  std::vector<std::size_t> of;     // [samples] place in `names`

  void add(const std::string& name);
  bool is_one() const { return names.size() <= 1; }
};

struct HeldOut {
  // By `speaker` or `misc.speaker`; by `language` or `misc.language`, else by the script most of the user
  // turns' letters are of ("Latin").
  Grouping speakers, languages;
  std::vector<std::size_t> speakable;  // samples whose last assistant turn has a clip
};

// Samples in the order of Dataset::load(). UserError. The manifest must not be a pipe.
HeldOut read_held_out(const fs::path& manifest, bool confine_paths);

// A sample up to its last assistant turn, and the first clip of that turn.
struct HeldOutPrompt {
  std::size_t sample = 0;    // its place in the manifest, blank lines not counted
  std::uint64_t number = 0;  // of its line
  std::string where;
  ChatMLSample prompt;
  AudioContent recorded;
  ClipFolder folder;
};

// Those of `samples` (ascending, out of HeldOut::speakable).
std::vector<HeldOutPrompt> read_prompts(const fs::path& manifest, bool confine_paths,
                                        const std::vector<std::size_t>& samples);

// `count` of them, evenly spread, or all where there are no more; in their order.
std::vector<std::size_t> spread_evenly(const std::vector<std::size_t>& all, std::size_t count);

}  // namespace higgs
