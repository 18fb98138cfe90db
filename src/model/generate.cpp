#include "higgs/model/generate.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/model/generation_batch.h"

namespace higgs {

DelayRule::DelayRule(std::int64_t num_codebooks, std::int64_t bos, std::int64_t eos)
    : num_codebooks_(num_codebooks), bos_(bos), eos_(eos) {}

bool DelayRule::apply(std::span<std::int64_t> column) {
  HIGGS_ASSERT(static_cast<std::int64_t>(column.size()) == num_codebooks_);
  if (started_ + 1 < num_codebooks_) {
    std::fill(column.begin() + started_ + 1, column.end(), bos_);
    ++started_;
  }
  if (remaining_ >= 0) {
    std::fill(column.begin(), column.begin() + (num_codebooks_ - remaining_), eos_);
    --remaining_;
  } else {
    const auto first = std::find(column.begin(), column.end(), eos_);
    if (first != column.end()) {
      std::fill(column.begin(), first, eos_);
      remaining_ = num_codebooks_ - (first - column.begin()) - 1;
    }
  }
  return remaining_ == 0;
}

GeneratedClip generate(HiggsModel& model, const EncodedSample& prompt, const SpecialIds& ids,
                       const SamplingOptions& options, std::int64_t max_frames) {
  GenerationBatch batch(model, ids, 1);
  batch.add(0, prompt, options, max_frames);
  while (true) {
    std::vector<GenerationBatch::Finished> finished = batch.step();
    if (!finished.empty()) return std::move(finished.front().clip);
  }
}

}  // namespace higgs
