// A safetensors file put together from torch tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

class TensorOutput {
 public:
  void add(const std::string& name, const at::Tensor& tensor);
  void add(const std::string& name, const std::vector<std::int64_t>& values);
  void add_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }
  std::size_t size() const { return tensors_.size(); }
  void write(const fs::path& path) const;

 private:
  std::vector<std::pair<std::string, at::Tensor>> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace higgs
