// A golden in full where it is at hand. The repository keeps cuts of the larger ones
// (tests/parity/copy_goldens.py says what is left out); HIGGS_TEST_DATA/goldens, where there is one, has them
// whole. Tests compare every field they find.
#pragma once

#include "support/paths.h"

namespace higgs::test {

inline fs::path whole_golden(const std::string& name) {
  return external("goldens/" + name).value_or(golden(name));
}

}  // namespace higgs::test
