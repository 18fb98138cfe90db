#include "higgs/formats/checkpoint_files.h"

#include <set>

#include "higgs/base/error.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {

// A git-LFS pointer is what a clone without git-lfs leaves in place of a large file.
void refuse_lfs_pointer(const fs::path& path) {
  std::error_code ignored;
  if (fs::file_size(path, ignored) > 1024) return;
  if (read_file(path).rfind("version https://git-lfs", 0) == 0) {
    throw UserError(path.string() +
                    ": is a git-LFS pointer, not weights; run `git lfs pull` in its repository");
  }
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
    throw UserError(folder.string() + ": has neither model.safetensors nor model.safetensors.index.json");
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
    if (!fs::exists(path)) {
      throw UserError(path.string() +
                      ": missing shard, named by model.safetensors.index.json; download it again");
    }
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
