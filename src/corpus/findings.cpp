#include "higgs/corpus/findings.h"

namespace higgs {

void Findings::mistake(const UserError& error) {
  if (++num_mistakes_ <= kMostLines) say_(Kind::kMistake, error.what());
}

void Findings::leave_out(const std::string& reason, const std::string& line) {
  ++left_out_[reason];
  // As an error's message: text out of a file must not write to the terminal.
  if (!line.empty() && ++num_lines_left_out_ <= kMostLines) say_(Kind::kLeftOut, UserError(line).what());
}

}  // namespace higgs
