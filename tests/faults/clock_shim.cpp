// clock_shim: an LD_PRELOAD library with a wall clock that jumps: by years, ahead and back, every 20
// milliseconds. Clocks that can't be set, as CLOCK_MONOTONIC, stay as they are. CLOCK_SHIM_STATE, a file of 8
// bytes, counts how often the time was asked for.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr long kYear = 31557600;
constexpr long kJumps[] = {0, 3 * kYear, -10 * kYear, 12, -3600, 60 * kYear, -40 * kYear};
std::atomic<std::int64_t>* asked = nullptr;

__attribute__((constructor)) void start() {
  const char* path = std::getenv("CLOCK_SHIM_STATE");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* page = ::mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (page != MAP_FAILED) asked = static_cast<std::atomic<std::int64_t>*>(page);
}

int true_time(clockid_t clock, timespec* now) {
  static const auto next =
      reinterpret_cast<int (*)(clockid_t, timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return next(clock, now);
}

long jump() {
  if (asked != nullptr) ++*asked;
  timespec now{};
  true_time(CLOCK_MONOTONIC, &now);
  const std::uint64_t window =
      static_cast<std::uint64_t>(now.tv_sec) * 50 + static_cast<std::uint64_t>(now.tv_nsec) / 20000000;
  return kJumps[window * 2654435761u % 4294967296u % 7];
}

bool can_be_set(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const int result = true_time(clock, now);
  if (result == 0 && can_be_set(clock)) now->tv_sec += jump();
  return result;
}

int gettimeofday(timeval* now, void*) noexcept {
  timespec time{};
  const int result = true_time(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec + jump();
  now->tv_usec = time.tv_nsec / 1000;
  return result;
}

time_t time(time_t* now) noexcept {
  timespec time{};
  true_time(CLOCK_REALTIME, &time);
  time.tv_sec += jump();
  if (now != nullptr) *now = time.tv_sec;
  return time.tv_sec;
}

int timespec_get(timespec* now, int base) noexcept {
  if (base != TIME_UTC || true_time(CLOCK_REALTIME, now) != 0) return 0;
  now->tv_sec += jump();
  return base;
}

}  // extern "C"
