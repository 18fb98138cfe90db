// What rank 0 knows of each rank, and when that means that one of them has failed. Torch-free, without clocks
// or sockets of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace higgs {

struct RankStatus {
  std::string host;
  std::int64_t step = 0;        // under way, from 1; 0 before the first
  std::string phase = "start";  // what it is doing
  bool waiting = false;         // for the other ranks
  std::uint64_t progress = 0;   // grows while it works
  bool joined = false, left = false, gone = false;
  double changed = 0, heard = 0;  // seconds: when the above last changed, when it last wrote
};

// As it travels: "at STEP WAITING PROGRESS PHASE".
std::string status_line(const RankStatus& status);
// Reads one into `status`, noting at `now` whether anything changed. False when it is no such line.
bool read_status_line(const std::string& line, double now, RankStatus& status);

struct Failure {
  int rank = 0;
  int exit_code = 1;
  std::string text;  // one line that names rank, host, step and cause
};

// "rank 3 (gpu07, step 12)"; without a step before the first.
std::string rank_name(int rank, const RankStatus& status);

// The rank that ended without a word; the one that has not moved for `timeout` seconds while others have been
// waiting for it as long; or, where all wait for each other as long, the one that says nothing any more.
std::optional<Failure> find_failure(std::span<const RankStatus> ranks, double now, double timeout);

// Rank 0's own end, as the others see it: its process died, or has said nothing for `timeout` seconds.
Failure lost_rank_zero(const RankStatus& zero, bool died, double timeout);

}  // namespace higgs
