// Where to cut is a shortest path: each boundary costs by how little it is a pause, each piece by how far it
// is from a middling length.
#include "higgs/corpus/cut.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "atoms.h"
#include "higgs/corpus/plain_text.h"

namespace higgs {
namespace {

constexpr double kLongPause = 0.5;        // seconds; a longer one is no better place to cut
constexpr double kNoPause = 0.05;         // a shorter one says nothing: times of words are that inexact
constexpr double kMostSilence = 0.1;      // kept before and after a piece
constexpr std::size_t kMostAtoms = 2000;  // in a piece; bounds the search over words without length
constexpr double kTooShort = 50.0, kTooLong = 1000.0;

double pause_after(const Run& run, std::size_t i) {
  return std::max(0.0, run[i + 1].begin - run[i].end);
}

// Where to look for silence between atoms i and i + 1, whose times may be a little wrong.
QuietPlace quiet_between(const Run& run, std::size_t i, const FindQuiet& find_quiet) {
  const double middle = (run[i].end + run[i + 1].begin) / 2.0;
  return find_quiet(std::max(middle - 0.1, std::min(run[i].begin + 0.02, middle)),
                    std::min(middle + 0.1, std::max(run[i + 1].end - 0.02, middle)));
}

// Of a cut behind atom i.
double boundary_cost(const Run& run, std::size_t i, const FindQuiet& find_quiet) {
  const double pause = pause_after(run, i);
  double cost = 0.5 * (1.0 - std::min(pause, kLongPause) / kLongPause);
  if (!ends_sentence(one_line(run[i].turns.back().text))) cost += 0.5;
  if (run[i].ends_segment) return cost;
  return cost + 1.0 + (pause < kNoPause ? quiet_between(run, i, find_quiet).level : 0.0);
}

double piece_cost(double seconds, const CutOptions& options) {
  if (seconds > options.max_seconds) return kTooLong;
  const double target = (options.min_seconds + options.max_seconds) / 2.0;
  const double distance = (seconds - target) / target;
  return distance * distance + (seconds < options.min_seconds ? kTooShort : 0.0);
}

// Number of atoms up to each cut, the end included.
std::vector<std::size_t> best_cuts(const Run& run, const CutOptions& options, const FindQuiet& find_quiet) {
  std::vector<double> cost(run.size() + 1, std::numeric_limits<double>::infinity());
  std::vector<std::size_t> from(run.size() + 1, 0);
  cost[0] = 0.0;
  for (std::size_t i = 1; i <= run.size(); ++i) {
    const double boundary = i < run.size() ? boundary_cost(run, i - 1, find_quiet) : 0.0;
    double end = 0.0;
    for (std::size_t j = i; j-- > 0 && i - j <= kMostAtoms;) {
      end = std::max(end, run[j].end);
      const double seconds = end - run[j].begin;
      if (seconds > options.max_seconds && i - j > 1) break;
      const double total = cost[j] + boundary + piece_cost(seconds, options);
      if (total < cost[i]) {
        cost[i] = total;
        from[i] = j;
      }
    }
  }
  std::vector<std::size_t> cuts;
  for (std::size_t i = run.size(); i > 0; i = from[i]) cuts.push_back(i);
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

std::vector<Turn> turns_of(const Run& run, std::size_t begin, std::size_t end) {
  std::vector<Turn> turns;
  for (std::size_t i = begin; i < end; ++i) {
    bool continues = run[i].continues_text && i > begin;
    for (const Turn& turn : run[i].turns) {
      if (turns.empty() || turns.back().speaker != turn.speaker) {
        turns.push_back(turn);
      } else {
        Turn& last = turns.back();
        last.text = continues ? last.text + turn.text : join_texts(std::move(last.text), turn.text);
      }
      continues = false;
    }
  }
  for (Turn& turn : turns) turn.text = one_line(turn.text);
  return turns;
}

double to_milliseconds(double seconds) {
  return std::round(seconds * 1000.0) / 1000.0;
}

// The place of a cut, as the end of what is before it and the beginning of what is behind it.
struct Cut {
  double end, begin;
};

Cut place_cut(const Run& run, std::size_t num_before, const FindQuiet& find_quiet) {
  if (num_before == 0) return {0.0, run[0].begin - std::min(kMostSilence, run[0].room_before / 2.0)};
  if (num_before == run.size()) {
    return {run.back().end + std::min(kMostSilence, run.back().room_after / 2.0), 0.0};
  }
  const Atom &before = run[num_before - 1], &behind = run[num_before];
  const double pause = pause_after(run, num_before - 1);
  if (pause < kNoPause) {
    const double quiet = quiet_between(run, num_before - 1, find_quiet).time;
    return {quiet, quiet};
  }
  const double kept = std::min(kMostSilence, pause / 2.0);
  return {before.end + kept, behind.begin - kept};
}

void take_pieces(const Run& run, double seconds, const CutOptions& options, const FindQuiet& find_quiet,
                 std::vector<Piece>& pieces, Findings& findings) {
  std::size_t begin = 0;
  Cut left = place_cut(run, 0, find_quiet);
  for (const std::size_t end : best_cuts(run, options, find_quiet)) {
    const Cut right = place_cut(run, end, find_quiet);
    double last = 0.0;
    for (std::size_t i = begin; i < end; ++i) last = std::max(last, run[i].end);
    Piece piece{std::max(0.0, left.begin), std::min(seconds, right.end), {}, ""};
    // Silence, and the shift to a quiet place, are given up where they would make it too long.
    if (piece.end - piece.begin > options.max_seconds) {
      piece.begin = std::max(piece.begin, run[begin].begin);
      piece.end = std::min(piece.end, last);
    }
    piece.begin = to_milliseconds(piece.begin);
    piece.end = to_milliseconds(piece.end);
    piece.where = run[begin].where;
    const double length = last - run[begin].begin;
    if (length > options.max_seconds) {
      char text[160];
      std::snprintf(text, sizeof text,
                    ": %.1f s without times of words to divide it at; transcribe it with them "
                    "(see docs/data.md), or raise --max_seconds",
                    length);
      findings.leave_out("too long to use, no times of words", piece.where + text);
    } else if (piece.end - piece.begin < options.min_seconds) {
      findings.leave_out("shorter than --min_seconds");
    } else {
      piece.turns = turns_of(run, begin, end);
      pieces.push_back(std::move(piece));
    }
    begin = end;
    left = right;
  }
}

}  // namespace

std::vector<Piece> cut_at_pauses(const std::vector<Segment>& segments, double seconds,
                                 const CutOptions& options, const FindQuiet& find_quiet, Findings& findings) {
  std::vector<Piece> pieces;
  for (const Run& run : make_runs(segments, seconds, options, findings)) {
    take_pieces(run, seconds, options, find_quiet, pieces, findings);
  }
  return pieces;
}

}  // namespace higgs
