// The ids the data path needs, gathered from a base's configuration and its tokenizer.
#pragma once

#include "higgs/data/dataset.h"
#include "higgs/model/config.h"
#include "higgs/text/tokenizer.h"

namespace higgs {

// What the configuration alone says. An HF one has no audio-in id: it stays -1.
SpecialIds special_ids(const ModelConfig& config);

// The same with the tokenizer's ids. UserError when the tokenizer lacks a token the model needs, or
// configuration and tokenizer disagree.
SpecialIds special_ids(const ModelConfig& config, const Tokenizer& tokenizer);

}  // namespace higgs
