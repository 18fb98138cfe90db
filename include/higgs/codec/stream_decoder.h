// Codes to sound piece by piece, as they come: the samples are those of AudioTokenizer::decode() of all of
// them, up to rounding (another length may be summed in another order).
#pragma once

#include <vector>

#include "higgs/codec/audio_tokenizer.h"

namespace higgs {

class StreamDecoder {
 public:
  // `codec` must outlive it.
  explicit StreamDecoder(const AudioTokenizer& codec) : codec_(codec) {}

  // Takes the next frames. Returns the samples, behind those returned before, that no later frame changes.
  std::vector<float> push(const Codes& frames);
  // The rest. Then it begins anew.
  std::vector<float> finish();

 private:
  std::vector<float> decode(std::int64_t end);

  const AudioTokenizer& codec_;
  Codes kept_;                  // the newest frames
  std::int64_t num_given_ = 0;  // of those, the first so many are decoded: they are context
};

}  // namespace higgs
