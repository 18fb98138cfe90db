// Plain text in columns.
#pragma once

#include <string>
#include <vector>

namespace higgs {

class TextTable {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // The first column to the left, the others to the right, two spaces between. Lines with their ends; what
  // could write to the terminal in other ways than as text is replaced, as in errors.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "%.*f"; "-" for what isn't a finite number.
std::string decimal(double value, int digits);
// With its sign: "+0.012".
std::string signed_decimal(double value, int digits);

}  // namespace higgs
