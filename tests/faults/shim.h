// Inside the library fault_shim: what is to happen to a call, asked before it is made.
#pragma once

#include <cstddef>

namespace higgs::test {

struct Verdict {
  bool fails = false;  // errno is set
  bool half = false;   // a write: only half of its bytes
  bool kills = false;  // after that half
};

// `takes_space`: whether a full disk may refuse it.
Verdict before(const char* call, const char* path, bool takes_space = false);
Verdict before_fd(const char* call, int fd, bool takes_space = false);
Verdict before_at(const char* call, int folder, const char* name, bool takes_space = false);

void synced(int fd);  // after a successful fsync
void path_of(int fd, char* path, std::size_t size);
[[noreturn]] void kill_now();

}  // namespace higgs::test
