// The reference's small codec in the boson layout, as a folder: its tensors lie in the repository as
// bfloat16, which holds them exactly, and are written as the model.pth that torch.save would make of them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "golden_case.h"
#include "higgs/base/json.h"
#include "support/pth_writer.h"

namespace higgs::test {

// Changed as a test likes before it is written.
class BosonCodecCopy {
 public:
  BosonCodecCopy()
      : config(read_json_file(golden("boson/codec/config.json"))),
        hubert(read_json_file(golden("boson/codec/semantic_model/config.json"))) {
    const SafetensorsFile file(golden("boson/codec/model.safetensors"));
    for (const auto& [name, view] : file.tensors()) tensors[name] = {name, view.shape, file.floats(name)};
  }
  fs::path write() {
    fs::create_directories(folder / "semantic_model");
    write_file_atomically(folder / "config.json", config.dump());
    if (!hubert.is_null()) write_file_atomically(folder / "semantic_model/config.json", hubert.dump());
    write_file_atomically(folder / "model.pth", pth_bytes(list()));
    return folder.path();
  }
  std::string error() {
    const fs::path path = write();
    return user_error([&] { AudioTokenizer codec(path); });
  }
  std::vector<FloatTensor> list() const {
    std::vector<FloatTensor> all;
    for (const auto& [name, tensor] : tensors) all.push_back(tensor);
    return all;
  }

  TemporaryFolder folder;
  Json config, hubert;  // hubert null: no file
  std::map<std::string, FloatTensor> tensors;
};

inline const AudioTokenizer& boson_codec() {
  static BosonCodecCopy copy;
  static const AudioTokenizer codec(copy.write());
  return codec;
}

}  // namespace higgs::test
