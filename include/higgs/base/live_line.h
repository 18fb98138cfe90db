// One line at the bottom of a terminal that says how far the work is, drawn over and over; messages scroll
// above it.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace higgs::log {

// A piece of work that shows itself in that line. Copies are the same work: with the last one the line goes
// away, or stays and is ended where an exception passes by, for it says how far the work came. Any thread.
class LiveLine {
 public:
  LiveLine();
  // Draws `text` (one column a character, no control characters), ten times a second at most. Where the
  // window is too narrow for it, `shorter` if there is one; then without the last of its fields, which two
  // spaces part. False where there is no line to draw in: stderr is no terminal, one that can't move its
  // cursor, or another job's at the moment; or several processes share it. What is to be said has to be said
  // in messages then.
  bool show(const std::string& text, const std::string& shorter = "");

 private:
  std::shared_ptr<const void> work_;
};

// Off where several processes write to one terminal.
void allow_live_line(bool allow);

// Calls `write`, which writes whole lines to stderr, with the live line out of its way.
void write_above_live_line(const std::function<void()>& write);

// Ends the line as it stands, when the process is about to end. Safe in a signal handler.
void end_live_line() noexcept;

}  // namespace higgs::log
