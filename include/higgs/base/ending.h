// How a program ends whose work threw something.
#pragma once

#include <exception>
#include <string>

namespace higgs {

struct Ending {
  int exit_code = 1;  // 2 for a user's mistake, 143 when the user stopped it
  std::string text;   // one line, for the user
};

Ending ending_of(const std::exception_ptr& error);

// Whether it says that memory ran out, the host's or a GPU's, in LibTorch's words or C++'s.
bool is_out_of_memory(const std::exception_ptr& error);

// What stands behind "higgs_train: " for that code.
const char* ending_word(int exit_code);

}  // namespace higgs
