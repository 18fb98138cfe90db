#include "stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "higgs/base/error.h"

namespace higgs {
namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_stop_signal(int) {
  if (requested.exchange(true)) ::_exit(143);
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

bool stop_requested() {
  return requested.load();
}

void stop_if_requested() {
  if (stop_requested())
    throw Stopped("before there was anything to save; what was encoded stays in the cache");
}

}  // namespace higgs
