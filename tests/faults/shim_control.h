// The other side of fault_shim: loads it into a process, tells it what to do, reads what it saw.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fault_state.h"
#include "support/process.h"

namespace higgs::test {

struct FaultOrder {
  const char* mode = "count";  // fault_state.h
  long at = 0, after_marks = 0;
  int error = 0;
  bool list = false;  // keep a list of the calls
};

struct CountedCall {
  long index = 0;  // 0: a mark
  std::string call, path;
};

class Shim {
 public:
  // Counts calls below `root`; each write to `mark` is a mark.
  Shim(const fs::path& root, const fs::path& mark);
  ~Shim();
  Shim(const Shim&) = delete;
  Shim& operator=(const Shim&) = delete;

  // Clears what was seen, and gives the variables of the next process.
  Environment order(const FaultOrder& order);
  const FaultState& state() const { return *state_; }
  bool in_save() const { return state_->in_save != 0; }
  // "rename .tmp-step-000003.77/x", of the call that FAULT_AT reached.
  std::string where() const;
  std::vector<CountedCall> calls() const;

 private:
  TemporaryFolder folder_;
  fs::path root_, mark_;
  FaultState* state_ = nullptr;
};

// The library itself; "" under a sanitizer that wants to be loaded first.
fs::path shim_library(const std::string& name);

// `path` as seen from `root`, process numbers replaced: the same in each run.
std::string short_path(const std::string& path, const fs::path& root);

}  // namespace higgs::test
