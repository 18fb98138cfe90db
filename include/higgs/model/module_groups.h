// Values for groups of the decoder's linear maps, as "audio_mlp=32,self_attn.q_proj=8" gives them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace higgs {

struct GroupValue {
  std::string group;  // "self_attn", "mlp" or "audio_mlp", or one map of it: "audio_mlp.up_proj"
  double value = 0.0;
};

// Pairs between commas; "" gives none. UserError, `flag` in front, for another form, a group named twice, or
// a value below 0.
std::vector<GroupValue> parse_group_values(const std::string& text, const std::string& flag);

// The value for a module path ("layers.0.audio_mlp.up_proj", whatever stands before the group): of the map
// itself where it is named, else of its group.
std::optional<double> value_of_module(const std::vector<GroupValue>& values, const std::string& path);

}  // namespace higgs
