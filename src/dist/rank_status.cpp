#include "higgs/dist/rank_status.h"

#include <sstream>

namespace higgs {
namespace {

std::string seconds_text(double seconds) {
  return std::to_string(static_cast<long long>(seconds + 0.5)) + " s";
}

Failure failure(std::span<const RankStatus> ranks, std::size_t i, const std::string& cause) {
  return {static_cast<int>(i), 1, rank_name(static_cast<int>(i), ranks[i]) + ": " + cause};
}

std::string death_in(const std::string& phase) {
  return "died in " + phase +
         ": its process ended without a word (killed? out of memory? the system's log says)";
}

}  // namespace

std::string status_line(const RankStatus& status) {
  return "at " + std::to_string(status.step) + (status.waiting ? " 1 " : " 0 ") +
         std::to_string(status.progress) + " " + status.phase;
}

bool read_status_line(const std::string& line, double now, RankStatus& status) {
  std::istringstream words(line);
  std::string kind, phase;
  std::int64_t step = 0;
  bool waiting = false;
  std::uint64_t progress = 0;
  if (!(words >> kind >> step >> waiting >> progress) || kind != "at") return false;
  words.ignore(1);
  std::getline(words, phase);
  if (step != status.step || waiting != status.waiting || progress != status.progress ||
      phase != status.phase) {
    status.changed = now;
  }
  status.step = step;
  status.waiting = waiting;
  status.progress = progress;
  status.phase = phase;
  return true;
}

std::string rank_name(int rank, const RankStatus& status) {
  return "rank " + std::to_string(rank) + " (" + status.host +
         (status.step > 0 ? ", step " + std::to_string(status.step) : "") + ")";
}

std::optional<Failure> find_failure(std::span<const RankStatus> ranks, double now, double timeout) {
  const auto stuck = [&](const RankStatus& rank) {
    return rank.joined && !rank.left && now - rank.changed >= timeout;
  };
  bool others_wait = false;
  bool all_stuck = true;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i].joined && ranks[i].gone && !ranks[i].left) {
      return failure(ranks, i, death_in(ranks[i].phase));
    }
    others_wait = others_wait || (stuck(ranks[i]) && ranks[i].waiting);
    all_stuck = all_stuck && (ranks[i].left || stuck(ranks[i]));
  }
  if (!others_wait) return std::nullopt;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (stuck(ranks[i]) && !ranks[i].waiting) {
      return failure(ranks, i,
                     "hangs in " + ranks[i].phase + ": no progress for " +
                         seconds_text(now - ranks[i].changed) + " while others wait for it (--comm_timeout)");
    }
  }
  if (!all_stuck) return std::nullopt;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (!ranks[i].left && now - ranks[i].heard >= timeout / 2) {
      return failure(ranks, i,
                     "hangs in " + ranks[i].phase + ": silent for " + seconds_text(now - ranks[i].heard) +
                         " while others wait for it (--comm_timeout)");
    }
  }
  return failure(ranks, 0,
                 "all ranks have been waiting for each other in " + ranks[0].phase + " for " +
                     seconds_text(now - ranks[0].changed) + " (--comm_timeout); is the network at fault?");
}

Failure lost_rank_zero(const RankStatus& zero, bool died, double timeout) {
  return failure(
      {&zero, 1}, 0,
      died ? death_in(zero.phase)
           : "hangs in " + zero.phase + ": silent for " + seconds_text(timeout) + " (--comm_timeout)");
}

}  // namespace higgs
