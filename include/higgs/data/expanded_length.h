// How many positions a sample takes once its placeholders are expanded, from lengths alone.
#pragma once

#include <span>

#include "higgs/data/dataset.h"

namespace higgs {

// Of the clip at a placeholder.
struct ClipLength {
  std::int64_t num_frames = 0;         // of its codes
  std::int64_t num_heard_samples = 0;  // for the audio tower
};

// A placeholder becomes the frames of its codes with BOS, EOS and the delay's tail, or its features, or both.
// `clips`: one for each placeholder.
std::int64_t expanded_length(std::span<const std::int64_t> input_ids, std::span<const ClipLength> clips,
                             const SpecialIds& ids);

// Positions that training learns from: supervised text, and of each supervised clip the columns in which a
// codebook has a label.
std::int64_t num_supervised(const TokenizedSample& tokens, std::span<const ClipLength> clips,
                            const SpecialIds& ids);

}  // namespace higgs
