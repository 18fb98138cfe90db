#include "atoms.h"

#include <algorithm>
#include <cmath>

#include "higgs/corpus/plain_text.h"

namespace higgs {
namespace {

// Transcripts round, and recognisers work in windows that may reach past the recording.
constexpr double kEndSlack = 1.0;
// Overlaps up to this are rounding.
constexpr double kOverlapSlack = 0.05;

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds);
  return text;
}

// Those with text and times in the recording, by their beginnings.
std::vector<Segment> usable(const std::vector<Segment>& segments, double seconds, Findings& findings) {
  std::vector<Segment> kept;
  for (const Segment& segment : segments) {
    Segment s = segment;
    s.text = one_line(s.text);
    if (s.text.empty()) continue;
    if (!(s.begin >= 0.0 && s.begin < s.end)) {
      findings.mistake(s.where + ": must end after it begins, and begin at 0 or later");
    } else if (s.begin >= seconds || s.end > seconds + kEndSlack) {
      findings.mistake(s.where + ": ends at " + seconds_text(s.end) + ", the recording at " +
                       seconds_text(seconds) + "; is it the transcript of another recording?");
    } else {
      s.end = std::min(s.end, seconds);
      kept.push_back(std::move(s));
    }
  }
  std::stable_sort(kept.begin(), kept.end(),
                   [](const Segment& a, const Segment& b) { return a.begin < b.begin; });
  return kept;
}

// A segment between words with known times; one atom when its words aren't those of its text.
std::vector<Atom> divide(const Segment& segment) {
  const auto whole = [&] {
    return std::vector<Atom>{{segment.begin, segment.end, {{segment.speaker, segment.text}}, segment.where}};
  };
  std::vector<Atom> atoms;
  std::vector<std::size_t> starts;  // of each atom's text
  bool is_open = false;             // the last atom's end isn't known: the next word belongs to it
  std::size_t cursor = 0;
  for (const TimedWord& word : segment.words) {
    const std::string text = one_line(word.text);
    if (text.empty()) continue;
    const std::size_t at = segment.text.find(text, cursor);
    if (at == std::string::npos) return whole();
    cursor = at + text.size();
    const bool is_known = word.begin && word.end && *word.begin <= *word.end;
    const double begin = is_known ? std::clamp(*word.begin, segment.begin, segment.end) : segment.begin;
    const double end = is_known ? std::clamp(*word.end, segment.begin, segment.end) : segment.begin;
    if (!atoms.empty() && (is_open || !is_known || begin < atoms.back().end - kOverlapSlack)) {
      atoms.back().end = std::max(atoms.back().end, end);
    } else {
      atoms.push_back({begin, end, {}, segment.where, false});
      starts.push_back(atoms.size() == 1 ? 0 : at);
    }
    is_open = !is_known;
  }
  if (atoms.empty()) return whole();
  if (is_open) atoms.back().end = segment.end;
  atoms.back().ends_segment = true;
  starts.push_back(segment.text.size());
  for (std::size_t i = 0; i < atoms.size(); ++i) {
    atoms[i].turns = {{segment.speaker, segment.text.substr(starts[i], starts[i + 1] - starts[i])}};
    atoms[i].continues_text = i > 0;
  }
  return atoms;
}

bool overlap(const Segment& a, const Segment& b) {
  return b.begin < a.end - kOverlapSlack;
}

// Speech that is partly over other speech, which no clip of one speaker can hold.
std::vector<bool> find_overlaps(const std::vector<Segment>& segments) {
  std::vector<bool> overlaps(segments.size(), false);
  std::size_t last = 0;  // the one that reaches farthest
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (overlap(segments[last], segments[i]) && segments[last].speaker != segments[i].speaker) {
      overlaps[last] = overlaps[i] = true;
    }
    if (segments[i].end > segments[last].end) last = i;
  }
  return overlaps;
}

void merge(Atom& into, Atom&& atom) {
  into.end = std::max(into.end, atom.end);
  for (Turn& turn : atom.turns) {
    Turn& last = into.turns.back();
    if (last.speaker == turn.speaker) {
      last.text = atom.continues_text ? last.text + turn.text : join_texts(std::move(last.text), turn.text);
    } else {
      into.turns.push_back(std::move(turn));
    }
    atom.continues_text = false;
  }
  into.ends_segment = atom.ends_segment;
}

// Adds a segment's atoms to the run before it, or to a new one.
void append(std::vector<Run>& runs, std::vector<Atom> atoms, bool may_follow, const CutOptions& options) {
  if (!runs.empty() && may_follow) {
    Atom& last = runs.back().back();
    const Atom& first = atoms.front();
    const bool fits = options.across_speakers || last.turns.back().speaker == first.turns.front().speaker;
    if (fits && first.begin < last.end - kOverlapSlack) {
      merge(last, std::move(atoms.front()));
      atoms.erase(atoms.begin());
    } else if (!fits || first.begin - last.end > options.max_pause) {
      runs.emplace_back();
    }
  } else {
    runs.emplace_back();
  }
  runs.back().insert(runs.back().end(), std::make_move_iterator(atoms.begin()),
                     std::make_move_iterator(atoms.end()));
}

}  // namespace

std::vector<Run> make_runs(const std::vector<Segment>& all, double seconds, const CutOptions& options,
                           Findings& findings) {
  const std::vector<Segment> segments = usable(all, seconds, findings);
  std::vector<bool> overlaps(segments.size(), false);
  if (!options.across_speakers) overlaps = find_overlaps(segments);
  std::vector<Run> runs;
  bool may_follow = false;
  double heard_until = 0.0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const double room_before = std::max(0.0, segment.begin - heard_until);
    if (!runs.empty() && !runs.back().empty() && runs.back().back().end >= heard_until) {
      runs.back().back().room_after = room_before;
    }
    heard_until = std::max(heard_until, segment.end);
    if (overlaps[i]) {
      findings.leave_out("speech over other speech");
      may_follow = false;
      continue;
    }
    std::vector<Atom> atoms =
        segment.end - segment.begin > options.max_seconds
            ? divide(segment)
            : std::vector<Atom>{
                  {segment.begin, segment.end, {{segment.speaker, segment.text}}, segment.where}};
    atoms.front().room_before = room_before;
    append(runs, std::move(atoms), may_follow, options);
    may_follow = true;
  }
  if (!runs.empty() && runs.back().back().end >= heard_until) {
    runs.back().back().room_after = std::max(0.0, seconds - heard_until);
  }
  return runs;
}

}  // namespace higgs
