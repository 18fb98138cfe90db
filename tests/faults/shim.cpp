// fault_shim: an LD_PRELOAD library that counts a process's file system calls below one folder, lets one of
// them fail or kills the process there. fault_state.h says how it is told what to do.
//
// libc's own calls (the open within fopen, getdents within readdir) don't pass here; the functions that make
// them do.
#include "shim.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fault_state.h"

namespace higgs::test {
namespace {

enum class Mode { kCount, kFail, kFull, kHalf, kKill, kTorn };

struct Settings {
  bool active = false;
  Mode mode = Mode::kCount;
  int error = EIO;
  long at = 0, after_marks = 0;
  const char *root = "", *mark = "";
  std::size_t root_size = 0;
  int log = -1;
  FaultState* state = nullptr;
};
Settings settings;

long number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atol(text);
}

const char* text(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Straight to the kernel: the functions of libc are replaced by ours.
int open_directly(const char* path, int flags) {
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600));
}

Mode mode_of(const char* name) {
  const char* names[] = {"count", "fail", "full", "half", "kill", "torn"};
  for (int i = 0; i < 6; ++i) {
    if (std::strcmp(name, names[i]) == 0) return static_cast<Mode>(i);
  }
  return Mode::kCount;
}

__attribute__((constructor)) void start() {
  settings.root = text("FAULT_ROOT");
  settings.root_size = std::strlen(settings.root);
  if (settings.root_size == 0) return;
  settings.mark = text("FAULT_MARK");
  settings.mode = mode_of(text("FAULT_MODE"));
  settings.at = number("FAULT_AT");
  settings.after_marks = number("FAULT_AFTER_MARKS");
  if (const long error = number("FAULT_ERRNO"); error > 0) settings.error = static_cast<int>(error);
  const int fd = open_directly(text("FAULT_STATE"), O_RDWR);
  if (fd < 0) return;
  void* page = reinterpret_cast<void*>(
      ::syscall(SYS_mmap, nullptr, sizeof(FaultState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ::syscall(SYS_close, fd);
  if (page == MAP_FAILED) return;
  settings.state = static_cast<FaultState*>(page);
  if (*text("FAULT_LOG") != '\0')
    settings.log = open_directly(text("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND);
  settings.active = true;
}

void log_line(long index, const char* call, const char* path) {
  if (settings.log < 0) return;
  char line[700];
  const int size = index > 0 ? std::snprintf(line, sizeof line, "%ld\t%s\t%s\n", index, call, path)
                             : std::snprintf(line, sizeof line, "mark\n");
  ::syscall(SYS_write, settings.log, line, static_cast<std::size_t>(size));
}

bool is_root(const char* path) {
  return std::strcmp(path, settings.root) == 0;
}

bool below_root(const char* path) {
  return std::strncmp(path, settings.root, settings.root_size) == 0 &&
         (path[settings.root_size] == '/' || path[settings.root_size] == '\0');
}

bool counting(const char* call, const char* path) {
  if (*settings.mark != '\0' && std::strcmp(path, settings.mark) == 0 &&
      std::strncmp(call, "write", 5) == 0) {
    ++settings.state->marks;
    log_line(0, "", "");
  }
  return settings.state->marks >= settings.after_marks && below_root(path);
}

// A save goes from the making of its temporary folder to the sync of the folder that it was put into.
void follow_save(const char* call, const char* path) {
  if (std::strncmp(call, "mkdir", 5) == 0 && std::strstr(path, "/.tmp-step-") != nullptr)
    settings.state->in_save = 1;
}

void note(const char* call, const char* path) {
  FaultState& state = *settings.state;
  std::snprintf(state.call, sizeof state.call, "%s", call);
  std::snprintf(state.path, sizeof state.path, "%s", path);
  state.fired = 1;
}

}  // namespace

Verdict before(const char* call, const char* path, bool takes_space) {
  if (!settings.active || !counting(call, path)) return {};
  const int saved = errno;
  const long index = ++settings.state->calls;
  log_line(index, call, path);
  follow_save(call, path);
  const bool reached =
      settings.mode == Mode::kFull ? index >= settings.at && takes_space : index == settings.at;
  Verdict verdict;
  // The rest of a write that was cut short.
  if (settings.mode == Mode::kHalf && index == settings.at + 1 && settings.state->fired != 0 &&
      std::strcmp(settings.state->path, path) == 0) {
    verdict.fails = true;
  }
  if (reached && settings.at > 0 && settings.mode != Mode::kCount) {
    note(call, path);
    verdict.fails = settings.mode == Mode::kFail || settings.mode == Mode::kFull;
    verdict.half = settings.mode == Mode::kHalf || settings.mode == Mode::kTorn;
    verdict.kills = settings.mode == Mode::kKill || settings.mode == Mode::kTorn;
    if (verdict.kills && !(verdict.half && std::strstr(call, "write") != nullptr)) kill_now();
  }
  errno = verdict.fails ? settings.error : saved;
  return verdict;
}

Verdict before_fd(const char* call, int fd, bool takes_space) {
  if (!settings.active) return {};
  char path[512];
  path_of(fd, path, sizeof path);
  return before(call, path, takes_space);
}

Verdict before_at(const char* call, int folder, const char* name, bool takes_space) {
  if (!settings.active) return {};
  if (folder == AT_FDCWD || name[0] == '/') return before(call, name, takes_space);
  char path[512];
  path_of(folder, path, 256);
  const std::size_t used = std::strlen(path);
  if (*name != '\0') std::snprintf(path + used, sizeof path - used, "/%s", name);
  return before(call, path, takes_space);
}

void synced(int fd) {
  if (!settings.active) return;
  char path[512];
  path_of(fd, path, sizeof path);
  if (is_root(path)) settings.state->in_save = 0;
}

void path_of(int fd, char* path, std::size_t size) {
  char link[32];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int saved = errno;
  const long used = ::syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
  path[used < 0 ? 0 : used] = '\0';
  errno = saved;
}

void kill_now() {
  ::syscall(SYS_kill, ::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace higgs::test
