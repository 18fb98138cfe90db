// A test program that starts itself again as the ranks of a job, under a real mpirun.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "support/process.h"

namespace higgs::test {

inline bool is_a_rank() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
}

// Runs `--gtest_filter=filter` of this program on so many ranks; in there is_a_rank() holds. One rank is
// started without mpirun.
inline ProcessResult run_as_ranks(int ranks, const std::string& filter, Environment variables = {}) {
  std::vector<std::string> command;
  if (ranks > 1) {
    command = {"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
               "-np",    std::to_string(ranks)};
  } else {
    variables["OMPI_COMM_WORLD_SIZE"] = "1";
    variables["OMPI_COMM_WORLD_RANK"] = "0";
  }
  command.push_back(fs::read_symlink("/proc/self/exe"));
  command.push_back("--gtest_filter=" + filter);
  variables["OMP_NUM_THREADS"] = "1";
  return run_process(command, variables);
}

}  // namespace higgs::test
