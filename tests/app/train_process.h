// `train` as a process: what its tests share.
#pragma once

#include <set>

#include "app_test.h"

namespace higgs::test {

class TrainTest : public AppTest {
 protected:
  Arguments command(const std::string& name) const {
    return Arguments{"train",        "--train_manifest", golden("e2e/manifest.jsonl"), "--output_dir",
                     scratch / name, "--val_manifest",   golden("e2e/manifest.jsonl")} +
           golden_base() + Arguments{"--auditions", "0"};  // audition_test.cpp has them
  }
  std::string adapter(const std::string& name) const {
    return text_of(scratch / name / "adapter/adapter_model.safetensors");
  }
  std::vector<Json> metrics(const std::string& name) const {
    std::vector<Json> all;
    for (const std::string& line : lines_of(text_of(scratch / name / "metrics.jsonl")))
      all.push_back(Json::parse(line));
    return all;
  }
  // Steps of the lines of one kind, in the order they stand.
  std::vector<int> steps(const std::string& name, const std::string& kind) const {
    std::vector<int> all;
    for (const Json& line : metrics(name)) {
      if (line["kind"] == kind) all.push_back(line["step"]);
    }
    return all;
  }
  // The names below checkpoints/.
  std::set<std::string> checkpoints(const std::string& name) const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(scratch / name / "checkpoints"))
      all.insert(entry.path().filename());
    return all;
  }
  static std::vector<int> count_to(int last) {
    std::vector<int> all;
    for (int i = 1; i <= last; ++i) all.push_back(i);
    return all;
  }
  // What a training step computed, without what the clock says.
  std::vector<Json> results(const std::string& name) const {
    std::vector<Json> all;
    for (Json line : metrics(name)) {
      for (const char* key : {"seconds", "tokens_per_second", "memory_bytes", "loader_wait"}) line.erase(key);
      all.push_back(line);
    }
    return all;
  }
};

}  // namespace higgs::test
