// A job under a real mpirun, watched from outside: the processes of its ranks and what each is doing, which
// the program shows as the name of a thread.
#pragma once

#include <string>

#include "support/process.h"

namespace higgs::test {

class MpiJob {
 public:
  // `command` may hold mpirun's ":" to start ranks with different arguments; it begins behind "mpirun".
  MpiJob(const std::vector<std::string>& command, const Environment& variables);

  // Waits until the rank shows `phase` ("3 the reduction"; the kernel keeps 15 characters). Throws after a
  // minute, or when the job ends first.
  void wait_for(int rank, const std::string& phase);
  pid_t pid(int rank);  // waits until it runs
  void send(int rank, int signal);
  pid_t launcher() const { return process_.pid(); }  // mpirun's own
  bool running() { return process_.running(); }
  // Of the process, as it is now.
  std::size_t virtual_bytes(int rank);

  struct End {
    ProcessResult result;
    double seconds = 0;              // since the last send() or mark()
    std::vector<std::string> lines;  // of the program, on stderr: "higgs_train: ..."
  };
  void mark();
  End wait();

 private:
  Process process_;
  std::map<int, pid_t> ranks_;
  double marked_ = 0;
};

}  // namespace higgs::test
