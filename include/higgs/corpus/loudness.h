// How loud a recording is, hundredth of a second after hundredth.
#pragma once

#include <string>
#include <vector>

#include "higgs/corpus/cut.h"

namespace higgs {

class Loudness {
 public:
  // Decodes the recording, ten minutes at a time. UserError, `where` in front.
  Loudness(const fs::path& recording, double seconds, const std::string& where);

  // Of a moment of 30 ms in [begin, end], the nearest to the middle where several are as quiet.
  QuietPlace quietest(double begin, double end) const;

 private:
  std::vector<float> levels_;  // root mean square of 10 ms each
  float mean_ = 0.0F;
};

}  // namespace higgs
