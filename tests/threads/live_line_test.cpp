// The live line at a terminal, with messages from several threads around it; and that a file never sees it.
#include "higgs/base/live_line.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "support/terminal.h"

namespace higgs::test {
namespace {

using namespace std::chrono_literals;
using Rows = std::vector<std::string>;

constexpr auto kDrawing = 120ms;  // a little more than the time between two drawings
constexpr int kShown = 0, kNotShown = 3;

// A message's row without its time.
std::string text_of_message(const std::string& row) {
  return row.substr(std::min<std::size_t>(row.size(), 9));
}

TEST(LiveLine, IsDrawnOverAndMessagesScrollAbove) {
  const TerminalResult result = in_terminal(80, [] {
    static log::LiveLine line;  // not destroyed: it is there at the end
    for (int i = 1; i <= 3; ++i) {
      line.show("step " + std::string(4 - static_cast<std::size_t>(i), 'x') + std::to_string(i));
      log::info("message " + std::to_string(i));
      std::this_thread::sleep_for(kDrawing);
    }
    return kShown;
  });
  const Rows all = rows(result, 80);
  ASSERT_EQ(all.size(), 4u) << result.bytes;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(text_of_message(all[i]), "info message " + std::to_string(i + 1));
  }
  EXPECT_EQ(all[3], "step x3") << "nothing of a longer text before it is left";
}

TEST(LiveLine, GoesAwayWithItsWork) {
  const TerminalResult result = in_terminal(80, [] {
    {
      log::LiveLine line;
      line.show("step 1");
    }
    log::info("done");
    return kShown;
  });
  const Rows all = rows(result, 80);
  ASSERT_EQ(all.size(), 2u) << result.bytes;
  EXPECT_EQ(text_of_message(all[0]), "info done");
  EXPECT_EQ(all[1], "");
  EXPECT_NE(result.bytes.find("step 1"), std::string::npos) << "it was never there";
}

TEST(LiveLine, BelongsToTheWorkThatShowedItselfLast) {
  const TerminalResult result = in_terminal(80, [] {
    auto outer = std::make_unique<log::LiveLine>();
    static log::LiveLine inner;
    outer->show("outer");
    std::this_thread::sleep_for(kDrawing);
    inner.show("inner");
    outer.reset();
    return kShown;
  });
  EXPECT_EQ(rows(result, 80), (Rows{"inner"}));
}

TEST(LiveLine, StaysWhereAnErrorEndsTheWork) {
  const TerminalResult result = in_terminal(80, [] {
    try {
      log::LiveLine line;
      line.show("step 1");
      line.show("step 2");  // too soon to be drawn
      throw std::runtime_error("broken");
    } catch (const std::exception& error) {
      std::fprintf(stderr, "failed: %s\n", error.what());
    }
    return kShown;
  });
  EXPECT_EQ(rows(result, 80), (Rows{"step 2", "failed: broken", ""}));
}

TEST(LiveLine, IsEndedHoweverTheProcessEnds) {
  const auto show_and = [](const std::function<void()>& end) {
    return in_terminal(80, [&] {
      static log::LiveLine line;
      line.show("step 1");
      end();
      return kShown;
    });
  };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGABRT}) {
    const TerminalResult result = show_and([&] { ::raise(signal); });
    EXPECT_EQ(result.signal, signal) << "it ends as it would without the line";
    EXPECT_EQ(rows(result, 80), (Rows{"step 1", ""})) << signal;
  }
  EXPECT_EQ(rows(show_and([] { std::exit(0); }), 80), (Rows{"step 1", ""}));
  const Rows failed = rows(show_and([] { HIGGS_ASSERT(1 == 2); }), 80);
  ASSERT_GE(failed.size(), 2u);
  EXPECT_EQ(failed[0], "step 1");
  EXPECT_EQ(failed[1].rfind("higgs_train: internal error", 0), 0u) << failed[1];
}

TEST(LiveLine, LeavesSignalsAloneThatSomebodyHandles) {
  const TerminalResult result = in_terminal(80, [] {
    static int handled = 0;
    ::signal(SIGTERM, [](int) { ++handled; });
    log::LiveLine line;
    line.show("step 1");
    ::raise(SIGTERM);
    return handled == 1 ? kShown : 1;
  });
  EXPECT_EQ(result.exit_code, kShown);
}

// What stands in a window of so many columns.
std::string row_in(int columns, const std::string& text, const std::string& shorter) {
  const TerminalResult result = in_terminal(columns, [&] {
    static log::LiveLine line;
    for (int i = 0; i < 2; ++i) {
      line.show(text, shorter);
      std::this_thread::sleep_for(kDrawing);
    }
    return kShown;
  });
  const Rows all = rows(result, 1000);  // a row wide enough for all that came
  EXPECT_EQ(all.size(), 1u) << result.bytes;
  return all.back();
}

TEST(LiveLine, IsCutToTheWindowBetweenFields) {
  const std::string text = "step 1/100  h\xc3\xb6he 2.61  4.1k tok/s  ETA 3:21";  // 43 characters
  EXPECT_EQ(row_in(80, text, "short"), text);
  EXPECT_EQ(row_in(44, text, ""), text) << "the last column stays free: some terminals wrap there";
  EXPECT_EQ(row_in(43, text, ""), "step 1/100  h\xc3\xb6he 2.61  4.1k tok/s");
  EXPECT_EQ(row_in(43, text, "short  er"), "short  er");
  EXPECT_EQ(row_in(9, text, "short  er"), "short");
  EXPECT_EQ(row_in(5, text, ""), "step") << "a field wider than the window";
}

TEST(LiveLine, IsDrawnTenTimesASecondAtMost) {
  const TerminalResult result = in_terminal(80, [] {
    log::LiveLine line;
    const auto end = std::chrono::steady_clock::now() + 1s;
    for (int i = 0; std::chrono::steady_clock::now() < end; ++i) line.show("step " + std::to_string(i));
    return kShown;
  });
  const auto drawings = std::count(result.bytes.begin(), result.bytes.end(), 's');
  EXPECT_LE(drawings, 11);
  EXPECT_GE(drawings, 5);
}

TEST(LiveLine, NeedsNoColourAndWithNoColorNothingHasAny) {
  const auto work = [] {
    log::LiveLine line;
    line.show("step 1");
    log::warn("careful");
    return kShown;
  };
  ::unsetenv("NO_COLOR");
  EXPECT_GT(escapes(in_terminal(80, work).bytes).size(), 1u) << "a message's level has a colour";
  EXPECT_EQ(escapes(in_terminal(80, work, {{"NO_COLOR", "1"}}).bytes), (Rows{"[K"}));
  EXPECT_GT(escapes(in_terminal(80, work, {{"NO_COLOR", ""}}).bytes).size(), 1u)
      << "empty: as if it were not set";
}

// Whether work can show itself, by the exit code.
int show_once() {
  log::LiveLine line;
  return line.show("step 1") ? kShown : kNotShown;
}

TEST(LiveLine, IsForTerminalsThatCanMoveTheirCursor) {
  EXPECT_EQ(in_terminal(80, show_once).exit_code, kShown);
  const TerminalResult dumb = in_terminal(80, show_once, {{"TERM", "dumb"}});
  EXPECT_EQ(dumb.exit_code, kNotShown);
  EXPECT_EQ(dumb.bytes, "");
}

TEST(LiveLine, IsNotForProcessesThatShareATerminal) {
  const TerminalResult result = in_terminal(80, [] {
    log::allow_live_line(false);
    return show_once();
  });
  EXPECT_EQ(result.exit_code, kNotShown);
  EXPECT_EQ(result.bytes, "");
}

TEST(LiveLine, KeepsOutOfTheWayOfTheJobInFront) {
  const TerminalResult result = in_terminal(80, [] {
    const pid_t job = ::fork();
    if (job == 0) {
      ::setpgid(0, 0);  // what a shell does for `program &`
      ::_exit(show_once());
    }
    int status = 0;
    ::waitpid(job, &status, 0);
    return WEXITSTATUS(status);
  });
  EXPECT_EQ(result.exit_code, kNotShown);
  EXPECT_EQ(result.bytes, "");
}

TEST(LiveLine, AFileGetsMessagesOnly) {
  const TemporaryFolder folder;
  const TerminalResult result = in_terminal(80, [&] {
    if (::freopen((folder / "err").c_str(), "w", stderr) == nullptr) return 1;
    log::Progress progress("reading clips");
    const auto end = std::chrono::steady_clock::now() + 300ms;
    for (std::size_t i = 1; std::chrono::steady_clock::now() < end; ++i) progress(i, 1u << 30);
    log::info("message");
    return show_once();
  });
  EXPECT_EQ(result.exit_code, kNotShown);
  EXPECT_EQ(result.bytes, "");
  const std::string text = text_of(folder / "err");
  EXPECT_EQ(text_of_message(text), "info message\n");
}

TEST(LiveLine, CountersShowNumberSpeedAndTimeToGo) {
  const TerminalResult result = in_terminal(80, [] {
    static log::Progress progress("reading clips");
    for (std::size_t i = 1; i <= 30; ++i) {
      progress(i, 3000);
      std::this_thread::sleep_for(10ms);
    }
    return kShown;
  });
  const Rows all = rows(result, 80);
  ASSERT_EQ(all.size(), 1u);
  int done = 0, speed = 0, minutes = 0, seconds = 0;
  ASSERT_EQ(std::sscanf(all[0].c_str(), "reading clips %d/3000  %d/s  ETA %d:%d", &done, &speed, &minutes,
                        &seconds),
            4)
      << all[0];
  EXPECT_GT(done, 2);
  EXPECT_LE(speed, 115) << "one in ten milliseconds, the first at once";
  // The three belong together, each rounded.
  EXPECT_NEAR((3000.0 - done) / speed, 60.0 * minutes + seconds, 0.03 * (60.0 * minutes + seconds) + 1.0);
}

TEST(LiveLine, MessagesOfThreadsStayWhole) {
  constexpr int kThreads = 3, kMessages = 100;
  const TerminalResult result = in_terminal(80, [] {
    std::vector<std::thread> threads;
    static log::LiveLine line;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([i] {
        for (int k = 0; k < kMessages; ++k) {
          log::info("message " + std::to_string(k) + " of " + std::to_string(i));
          line.show("step " + std::to_string(k));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return kShown;
  });
  Rows all = rows(result, 80);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kThreads * kMessages + 1));
  EXPECT_EQ(all.back().rfind("step ", 0), 0u) << all.back();
  all.pop_back();
  for (std::string& row : all) row = text_of_message(row);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  for (const std::string& row : all) EXPECT_EQ(row.rfind("info message ", 0), 0u) << row;
}

TEST(ShortNumber, HasThreeDigitsOrSo) {
  EXPECT_EQ(log::short_number(0.45), "0.5");
  EXPECT_EQ(log::short_number(9.96), "10");
  EXPECT_EQ(log::short_number(999.6), "1.0k");
  EXPECT_EQ(log::short_number(4123), "4.1k");
  EXPECT_EQ(log::short_number(2345678), "2.3M");
}

}  // namespace
}  // namespace higgs::test
