// Running a program as a user would: exit code, standard output and standard error of a process.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "support/paths.h"

namespace higgs::test {

struct ProcessResult {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  std::string out, err;
};

using Environment = std::map<std::string, std::string>;

// A process under way; killed when it goes out of scope before wait().
class Process {
 public:
  // `arguments[0]` is the program; `changes` are set in a copy of this process's environment.
  explicit Process(const std::vector<std::string>& arguments, const Environment& changes = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal);
  bool running();  // false once it has ended
  ProcessResult wait();

 private:
  void take_status(int status);
  TemporaryFolder folder_;
  pid_t pid_ = -1;
  bool ended_ = false;
  ProcessResult result_;
};

ProcessResult run_process(const std::vector<std::string>& arguments, const Environment& changes = {});

// The built higgs_train: HIGGS_BINARY, as ctest sets it.
fs::path program();

std::string text_of(const fs::path& file);
void write_text(const fs::path& file, const std::string& text);
std::vector<std::string> lines_of(const std::string& text);

// Every file below a folder with its size and hash, every folder with "", by relative path.
std::map<std::string, std::string> snapshot(const fs::path& folder);

}  // namespace higgs::test
