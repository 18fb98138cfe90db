// A golden base, its tensors and configuration to be changed and written elsewhere.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/model/higgs_model.h"
#include "higgs/model/weights.h"
#include "support/paths.h"
#include "support/process.h"
#include "support/torch_compare.h"

namespace higgs::test {

class BaseCopy {
 public:
  explicit BaseCopy(const char* base) : config(read_json_file(golden(base) / "config.json")) {
    const SafetensorsFile file(golden(base) / "model.safetensors");
    for (const auto& [name, view] : file.tensors()) tensors[name] = load(file, name);
  }
  const fs::path& write() {
    store(folder / "model.safetensors", tensors);
    write_text(folder / "config.json", config.dump());
    return folder.path();
  }
  HiggsModel model() { return HiggsModel(write(), at::kFloat, at::kCPU); }
  std::string error() {
    return user_error([&] { model(); });
  }

  TemporaryFolder folder;
  Json config;
  std::map<std::string, at::Tensor> tensors;
};

}  // namespace higgs::test
