// What users call parts of the model: groups of the decoder's linear maps, with values as
// "audio_mlp=32,self_attn.q_proj=8" gives them, and modules that can be trained whole.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace higgs {

struct GroupValue {
  // "self_attn", "mlp" or "audio_mlp", one map of it: "audio_mlp.up_proj", or a whole module's name
  std::string group;
  double value = 0.0;
};

// A module that can be trained whole (peft's modules_to_save).
struct WholeModule {
  const char* name;    // as flags call it, in either layout
  const char* weight;  // its canonical name (model/layout.h)
};
inline constexpr std::array<WholeModule, 3> kWholeModules = {{
    {"audio_lm_head", "audio_lm_head.weight"},
    {"embed_audio_tokens", "audio_embed.weight"},
    {"text_lm_head", "text_lm_head.weight"},
}};

// Pairs between commas; "" gives none. UserError, `flag` in front, for another form, a group named twice, or
// a value below 0. `with_whole`: whole modules may be named too.
std::vector<GroupValue> parse_group_values(const std::string& text, const std::string& flag,
                                           bool with_whole = false);

// Names of whole modules between commas, in the order of kWholeModules. UserError, `flag` in front, for
// another name, or one that stands there twice.
std::vector<std::string> parse_modules_to_save(const std::string& text, const std::string& flag);

// The value for a module path ("layers.0.audio_mlp.up_proj", whatever stands before the group): of the map
// itself where it is named, else of its group.
std::optional<double> value_of_module(const std::vector<GroupValue>& values, const std::string& path);

}  // namespace higgs
