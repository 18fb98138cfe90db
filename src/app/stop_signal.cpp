#include "stop_signal.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "higgs/base/error.h"
#include "higgs/base/live_line.h"

namespace higgs {
namespace {

// Milliseconds, on the monotonic clock, of the first signal; 0 before.
std::atomic<long long> requested_at{0};
static_assert(std::atomic<long long>::is_always_lock_free);

// Launchers pass a Ctrl-C on that the terminal has sent to everybody already.
constexpr long long kSameRequest = 1000;

long long now_milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000 + 1;
}

extern "C" void on_stop_signal(int) {
  const long long now = now_milliseconds();
  long long first = 0;
  if (requested_at.compare_exchange_strong(first, now) || now - first <= kSameRequest) return;
  log::end_live_line();
  ::_exit(143);
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) ::sigaction(signal, &action, nullptr);
  // A terminal that closes; one that is to outlive it (nohup) ignores the signal already.
  struct sigaction inherited {};
  ::sigaction(SIGHUP, nullptr, &inherited);
  if (inherited.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
  // That nobody reads any more what the run says (a terminal or `tee` that ended) is no reason to end it.
  ::signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() {
  return requested_at.load() != 0;
}

void stop_if_requested() {
  if (stop_requested())
    throw Stopped("before there was anything to save; what was encoded stays in the cache");
}

}  // namespace higgs
