#include "higgs/formats/checkpoint_files.h"

#include <set>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/lfs.h"
#include "higgs/formats/hub.h"

namespace higgs {
namespace {

// A shard that the index names and that isn't there: half a download, as a rule.
[[noreturn]] void report_missing_shard(const fs::path& path) {
  throw UserError(path.string() + ": missing shard, named by model.safetensors.index.json; " +
                  download_advice(path.parent_path()));
}

}  // namespace

CheckpointFiles::CheckpointFiles(const fs::path& folder) : folder_(folder) {
  if (!fs::is_directory(folder)) throw UserError(folder.string() + ": no such folder");
  const fs::path single = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) {
    refuse_lfs_pointer(single);
    add(std::make_shared<const SafetensorsFile>(single));
    return;
  }
  if (!fs::exists(index)) {
    throw UserError(folder.string() + ": has neither model.safetensors nor model.safetensors.index.json; " +
                    download_advice(folder));
  }
  const Json document = read_json_file(index);
  const JsonObject weight_map = JsonObject(document, index.string()).object("weight_map");
  std::set<std::string> shards;
  for (const auto& [name, shard] : weight_map.json().items()) shards.insert(weight_map.string(name));
  for (const std::string& shard : shards) {
    const fs::path path = folder / shard;
    if (fs::path(shard).filename() != fs::path(shard)) {
      throw UserError(index.string() + ": shard '" + shard + "' must be a file name without folders");
    }
    std::error_code error;  // of a name that is too long, say
    if (!fs::exists(path, error)) report_missing_shard(path);
    refuse_lfs_pointer(path);
    add(std::make_shared<const SafetensorsFile>(path));
  }
  for (const auto& [name, shard] : weight_map.json().items()) {
    const auto owner = owner_.find(name);
    if (owner == owner_.end() || owner->second->path().filename() != fs::path(shard.get<std::string>())) {
      throw UserError(index.string() + ": tensor '" + name + "' is not in " + shard.get<std::string>());
    }
  }
}

void CheckpointFiles::add(const std::shared_ptr<const SafetensorsFile>& file) {
  for (const auto& [name, view] : file->tensors()) {
    if (!owner_.emplace(name, file).second) {
      throw UserError(file->path().string() + ": tensor '" + name + "' is in another shard too");
    }
    tensors_.emplace(name, view);
  }
}

}  // namespace higgs
