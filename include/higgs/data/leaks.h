// Where a data set gives away what is to be learnt or measured.
#pragma once

#include <optional>
#include <vector>

#include "higgs/data/dataset.h"

namespace higgs {

// Hashes of the codes of the clips that a sample is to say, each once, ascending.
std::vector<Hash128> reply_hashes(const EncodedSample& sample, const SpecialIds& ids);

// The first sample with a prompt that holds the very clip that it is to be answered with (the same codes).
std::optional<std::size_t> find_copied_reply(const Dataset& dataset, const SpecialIds& ids);

// How many samples of `held_out` have a reply clip that is one of `training`'s reply clips too (the same
// codes).
std::size_t count_shared_replies(const Dataset& held_out, const Dataset& training);

}  // namespace higgs
