// A copy of a golden adapter whose tensors and configuration can be changed.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "higgs/base/json.h"
#include "support/paths.h"
#include "support/process.h"
#include "support/torch_compare.h"

namespace higgs::test {

class AdapterCopy {
 public:
  explicit AdapterCopy(const std::string& name)
      : config(read_json_file(golden(name) / "adapter_config.json")) {
    const SafetensorsFile file(golden(name) / "adapter_model.safetensors");
    for (const auto& [key, view] : file.tensors()) tensors[key] = load(file, key);
  }

  // A tensor that the adapter carries whole, of a module it names.
  void save_module(const std::string& module, const std::string& key, const at::Tensor& tensor) {
    tensors["base_model.model." + key] = tensor.contiguous();
    if (!config["modules_to_save"].is_array()) config["modules_to_save"] = Json::array();
    config["modules_to_save"].push_back(module);
  }

  // Writes the folder and returns its path.
  fs::path write() const {
    store(*folder_ / "adapter_model.safetensors", tensors);
    write_text(*folder_ / "adapter_config.json", config.dump());
    return folder_->path();
  }

  Json config;
  std::map<std::string, at::Tensor> tensors;

 private:
  std::shared_ptr<TemporaryFolder> folder_ = std::make_shared<TemporaryFolder>();
};

}  // namespace higgs::test
