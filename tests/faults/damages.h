// What can be wrong with a checkpoint folder.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "support/paths.h"

namespace higgs::test {

struct Damage {
  enum class Kind {
    kDamaged,   // other bytes than were written: it must not be taken
    kFalse,     // whole, hashes and all, but no run wrote it: it must not be taken either
    kHarmless,  // all that a run needs is unharmed: it must be taken
  };
  std::string name;
  Kind kind = Kind::kDamaged;
  std::function<void(const fs::path& checkpoint)> apply;
};

// For checkpoints with the files of `example`; where bits flip is drawn.
std::vector<Damage> all_damages(const fs::path& example, std::mt19937_64& random);

}  // namespace higgs::test
