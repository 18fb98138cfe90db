// The command line that the fault programs share.
#pragma once

#include <cstdint>
#include <string>

#include "support/paths.h"

namespace higgs::test {

struct Options {
  std::string program;     // "faults_kill"
  int count = 0;           // 0: everything, where that is a number
  std::uint64_t seed = 0;  // of what happens when; drawn when not given
  fs::path binary;         // higgs_train
  int ranks = 1;           // processes, under mpirun from two on
  fs::path log;            // a line is added here; "" for none
  bool keep = false;       // leave the folder of a failure for a look
};

struct ProgramText {
  const char* name;
  const char* summary;      // what it does and what it holds against the program
  const char* count_means;  // "kills"
  int default_count;
  bool takes_ranks;
};

// Prints --help and ends, ends with 2 on a mistake. Sets HIGGS_SOURCE_DIR where it isn't.
Options parse_options(int argc, char** argv, const ProgramText& text);

}  // namespace higgs::test
