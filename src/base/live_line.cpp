#include "higgs/base/live_line.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>

namespace higgs::log {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBetweenDrawings = std::chrono::milliseconds(100);
constexpr std::string_view kErase = "\r\x1b[K";  // to the line's beginning; erase to its end

// The cursor stands behind a line without an end. Apart, since signal handlers look at it.
std::atomic<bool> drawn{false};
static_assert(std::atomic<bool>::is_always_lock_free);

struct Line {
  std::mutex mutex;
  bool allowed = true;
  Clock::time_point drawn_at{};
  const void* owner = nullptr;
  std::string text, shorter;
};

// Never destroyed: messages may come from whatever is.
Line& line() {
  static Line& instance = *new Line;
  return instance;
}

void write_all(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the terminal is gone
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool can_move_its_cursor() {
  const char* type = std::getenv("TERM");
  return type != nullptr && *type != '\0' && std::string_view(type) != "dumb";
}

// A job behind `&` would draw over what its user types. -1: not the terminal that governs this process.
bool is_in_foreground() {
  const pid_t group = ::tcgetpgrp(STDERR_FILENO);
  return group < 0 || group == ::getpgrp();
}

std::size_t columns() {
  winsize window{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return 80;
  return window.ws_col;
}

// Where the character after the first `count` of UTF-8 begins; npos when there are no more.
std::size_t after_characters(std::string_view text, std::size_t count) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (begins && count-- == 0) return at;
  }
  return std::string_view::npos;
}

// A number cut in the middle would be read as another.
std::string_view fitting(const Line& at, std::size_t width) {
  std::string_view text = at.text;
  if (!at.shorter.empty() && after_characters(text, width) != std::string_view::npos) text = at.shorter;
  const std::size_t end = after_characters(text, width);
  if (end == std::string_view::npos) return text;
  const std::size_t field = text.rfind("  ", end);
  return text.substr(0, field != std::string_view::npos && field > 0 ? field : end);
}

extern "C" void end_line_and_die(int signal) {
  end_live_line();
  ::raise(signal);  // SA_RESETHAND: as it would have ended without this
}

// What ends the process without unwinding leaves the shell's prompt behind the line, unless it is ended.
// Signals that somebody else handles are theirs.
void end_line_at_the_end() {
  std::atexit([] { end_live_line(); });
  struct sigaction action {};
  action.sa_handler = end_line_and_die;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    struct sigaction present {};
    if (::sigaction(signal, nullptr, &present) == 0 && present.sa_handler == SIG_DFL)
      ::sigaction(signal, &action, nullptr);
  }
}

// The rest of these: with the mutex held.
void draw(Line& at) {
  [[maybe_unused]] static const bool once = (end_line_at_the_end(), true);
  std::string bytes = "\r";
  bytes += fitting(at, columns() - 1);  // in the last column some terminals wrap
  bytes += "\x1b[K";
  drawn = true;
  write_all(bytes);
}

void leave(Line& at, const void* owner) {
  if (at.owner != owner) return;
  at.owner = nullptr;
  if (!drawn) return;
  if (std::uncaught_exceptions() > 0) {
    draw(at);  // what was shown last may not have been drawn yet
    end_live_line();
  } else {
    drawn = false;
    write_all(kErase);
  }
}

}  // namespace

LiveLine::LiveLine()
    : work_(new char, [](const char* work) {
        const std::lock_guard lock(line().mutex);
        leave(line(), work);
        delete work;
      }) {}

bool LiveLine::show(const std::string& text, const std::string& shorter) {
  Line& at = line();
  const std::lock_guard lock(at.mutex);
  if (!at.allowed || ::isatty(STDERR_FILENO) == 0 || !can_move_its_cursor() || !is_in_foreground())
    return false;
  at.owner = work_.get();
  at.text = text;
  at.shorter = shorter;
  const Clock::time_point now = Clock::now();
  if (now - at.drawn_at < kBetweenDrawings) return true;
  at.drawn_at = now;
  draw(at);
  return true;
}

void allow_live_line(bool allow) {
  const std::lock_guard lock(line().mutex);
  line().allowed = allow;
}

void write_above_live_line(const std::function<void()>& write) {
  Line& at = line();
  const std::lock_guard lock(at.mutex);
  const bool again = drawn.exchange(false);
  if (again) write_all(kErase);
  write();
  if (again && is_in_foreground()) draw(at);
}

void end_live_line() noexcept {
  if (drawn.exchange(false)) write_all("\n");
}

}  // namespace higgs::log
