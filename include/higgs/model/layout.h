// Names of a model's tensors in the two public layouts. Canonical names are this program's own:
// embed_tokens, audio_embed, layers.N.*, norm, audio_lm_head, text_lm_head (each with ".weight").
#pragma once

#include <string>

#include "higgs/model/config.h"

namespace higgs {

// "layers.0.mlp.up_proj.weight" -> "model.layers.0.mlp.up_proj.weight" in the HF layout.
std::string stored_name(Layout layout, const std::string& canonical);

// What PEFT puts before a module path: "base_model.model.model." (HF) or "base_model.model." (boson).
std::string adapter_prefix(Layout layout);

// Tensors a checkpoint may hold that the model has no use for.
bool is_ignored(Layout layout, const std::string& stored);

}  // namespace higgs
