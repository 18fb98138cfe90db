// Speaking: frames drawn one by one with a key/value cache, the delay pattern undone at the end.
#pragma once

#include "higgs/data/dataset.h"
#include "higgs/model/higgs_model.h"
#include "higgs/model/sampling.h"

namespace higgs {

struct GeneratedClip {
  Codes codes;           // [C, T], clipped to codes proper
  IdMatrix columns;      // [C, T + 9]: as generated, with BOS, EOS and delay; column 0 is all BOS
  bool stopped = false;  // by EOS, not by the limit
};

// `prompt` ends in <|audio_out_bos|>. At most `max_frames` frames. Inference only; the model's adapter, if it
// has one, is used.
GeneratedClip generate(HiggsModel& model, const EncodedSample& prompt, const SpecialIds& ids,
                       const SamplingOptions& options, std::int64_t max_frames);

// Keeps the delay pattern while a clip is generated (boson_multimodal's rule): after the all-BOS column j,
// codebooks above j are BOS; the lowest codebook that says EOS sets all below it to EOS and the others follow
// one per column.
class DelayRule {
 public:
  DelayRule(std::int64_t num_codebooks, std::int64_t bos, std::int64_t eos);
  // Forces what isn't free in the next column. True when it is the clip's last.
  bool apply(std::span<std::int64_t> column);

 private:
  std::int64_t num_codebooks_, bos_, eos_;
  std::int64_t started_ = 0;     // codebooks above this one haven't begun
  std::int64_t remaining_ = -1;  // columns to come after the first EOS; -1 before it
};

}  // namespace higgs
