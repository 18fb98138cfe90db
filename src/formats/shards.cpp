#include "higgs/formats/shards.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "higgs/base/error.h"
#include "higgs/base/json.h"

namespace higgs {

std::vector<Shard> plan_shards(const std::vector<TensorSpec>& specs, std::uint64_t max_bytes) {
  std::vector<Shard> shards;
  std::uint64_t filled = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t bytes = spec.num_bytes();
    if (shards.empty() || (filled > 0 && filled + bytes > max_bytes)) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().specs.push_back(spec);
    filled += bytes;
  }
  if (shards.size() == 1) shards[0].file = "model.safetensors";
  for (std::size_t i = 0; shards.size() > 1 && i < shards.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    shards[i].file = name;
  }
  return shards;
}

std::uint64_t total_bytes(const std::vector<Shard>& shards) {
  std::uint64_t total = 0;
  for (const Shard& shard : shards) {
    for (const TensorSpec& spec : shard.specs) total += spec.num_bytes();
  }
  return total;
}

std::string shard_index_json(const std::vector<Shard>& shards) {
  Json weight_map = Json::object();
  for (const Shard& shard : shards) {
    for (const TensorSpec& spec : shard.specs) weight_map[spec.name] = shard.file;
  }
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total_bytes(shards)}}},
                                        {"weight_map", weight_map}};
  return index.dump(2) + "\n";
}

std::uint64_t parse_size(const std::string& text, const std::string& where) {
  struct Unit {
    const char* name;
    double bytes;
  };
  constexpr std::array<Unit, 8> kUnits = {{{"", 1},
                                           {"B", 1},
                                           {"KB", 1e3},
                                           {"MB", 1e6},
                                           {"GB", 1e9},
                                           {"KiB", 1024.0},
                                           {"MiB", 1024.0 * 1024},
                                           {"GiB", 1024.0 * 1024 * 1024}}};
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  for (const Unit& unit : kUnits) {
    const double bytes = number * unit.bytes;
    if (end != text.c_str() && unit.name == std::string(end) && bytes >= 1 && bytes < 1e18)
      return static_cast<std::uint64_t>(bytes);
  }
  throw UserError(where + ": '" + text + "' is not a size; write it as 5GB, 500MB or 1GiB");
}

}  // namespace higgs
