// higgs_train under way, alone or as ranks under mpirun, with a limit to how long it may take.
#pragma once

#include <memory>
#include <optional>

#include "options.h"
#include "support/mpi_job.h"

namespace higgs::test {

using Arguments = std::vector<std::string>;

inline Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Job {
 public:
  // `command` begins with the program.
  Job(int ranks, const Arguments& command, const Environment& variables);

  bool running();
  pid_t launcher() const;  // of mpirun, or of the program itself
  void send(int rank,
            int signal);  // to a process of higgs_train; nothing happens when it isn't there any more
  // Waits for the end. Nothing when it took longer: then everything of it was killed.
  std::optional<ProcessResult> wait(double seconds);

 private:
  int ranks_;
  std::unique_ptr<Process> alone_;
  std::unique_ptr<MpiJob> under_mpirun_;
};

double now_seconds();
void sleep_seconds(double seconds);

// Runs it to the end. `what` is thrown as a std::runtime_error with its output when it hangs.
ProcessResult run_job(int ranks, const Arguments& command, const Environment& variables,
                      double seconds = 120);

// "higgs_train: ..." lines of stderr: what the program says when it ends with an error.
std::vector<std::string> last_words(const ProcessResult& result);
// "exit code 1" or "signal 9".
std::string ending_text(const ProcessResult& result);

}  // namespace higgs::test
