// Findings that keep what they were told.
#pragma once

#include <string>
#include <vector>

#include "higgs/corpus/findings.h"

namespace higgs::test {

struct Found {
  std::vector<std::string> mistakes, left_out;
  Findings findings{[this](Findings::Kind kind, const std::string& line) {
    (kind == Findings::Kind::kMistake ? mistakes : left_out).push_back(line);
  }};
  std::size_t count(const std::string& reason) const {
    const auto found = findings.left_out().find(reason);
    return found == findings.left_out().end() ? 0 : found->second;
  }
};

// 10^6 columns, quotes, brackets, ...: inputs that a reader must get through or refuse in no time.
inline std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace higgs::test
