// The program's commands: each reads its flags from `arguments` and returns the exit code.
#pragma once

#include <string>
#include <vector>

namespace higgs {

int train_command(const std::vector<std::string>& arguments);
int prepare_command(const std::vector<std::string>& arguments);
int check_command(const std::vector<std::string>& arguments);
int generate_command(const std::vector<std::string>& arguments);
int encode_command(const std::vector<std::string>& arguments);
int evaluate_command(const std::vector<std::string>& arguments);
int plan_command(const std::vector<std::string>& arguments);
int merge_command(const std::vector<std::string>& arguments);
int inspect_command(const std::vector<std::string>& arguments);

// Picks the command by the first word (none: train), runs it, and turns errors into one line and an exit
// code: 0 done, 1 failed, 2 a mistake in flags, configuration or data, 143 stopped by a signal with a
// checkpoint saved.
int run_program(int argc, const char* const* argv);

}  // namespace higgs
