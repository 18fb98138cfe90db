// The weight files of a checkpoint folder: one model.safetensors, or shards with
// model.safetensors.index.json.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/formats/safetensors.h"

namespace higgs {

class CheckpointFiles {
 public:
  // UserError naming the folder or file: no weights, a shard that the index names but isn't there, a tensor
  // in two shards, a tensor that the index places elsewhere.
  explicit CheckpointFiles(const fs::path& folder);

  const fs::path& folder() const { return folder_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // Keeps the mapping alive for views handed on.
  std::shared_ptr<const SafetensorsFile> file_of(const std::string& name) const { return owner_.at(name); }

 private:
  void add(const std::shared_ptr<const SafetensorsFile>& file);
  fs::path folder_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> owner_;
};

}  // namespace higgs
