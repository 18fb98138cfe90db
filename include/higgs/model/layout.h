// Names of a model's tensors in the two public layouts. Canonical names are this program's own:
// embed_tokens, audio_embed, layers.N.*, norm, audio_lm_head, text_lm_head (each with ".weight").
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "higgs/model/config.h"

namespace higgs {

// "layers.0.mlp.up_proj.weight" -> "model.layers.0.mlp.up_proj.weight" in the HF layout.
std::string stored_name(Layout layout, const std::string& canonical);

// Other names under which a checkpoint may hold the tensor, alone or a second time: boson's heads outside
// their projector.
std::vector<std::string> other_names(Layout layout, const std::string& canonical);

// Names of the two parts that boson's partly frozen modules store instead of `stored`, to be put together
// along the rows: "X.weight" -> "X.linear_frozen.weight" and "X.linear_trainable.weight" for `kind` "linear".
// Nothing in the HF layout.
std::optional<std::pair<std::string, std::string>> split_names(Layout layout, const std::string& stored,
                                                               const std::string& kind);

// The other way round; a name the layout doesn't have comes back as something no model has.
std::string canonical_name(Layout layout, const std::string& stored);

// What PEFT's target_modules say of an adapter without low-rank tensors.
inline constexpr const char* kNoTargetModules = "dummy-target-modules";

// "HF", "boson": as messages call it.
const char* name_of(Layout layout);

// Tensors a checkpoint may hold that the model has no use for.
bool is_ignored(Layout layout, const std::string& stored);

}  // namespace higgs
