// Codec folders as read from disk. Each layout has a loader that gives the same thing: the tensors under the
// names of the HF layout, the configuration, and a hash of both.
#pragma once

#include <map>
#include <string>

#include "config.h"
#include "higgs/base/file.h"
#include "weights.h"

namespace higgs::codec {

struct CodecFiles {
  CodecConfig config;
  std::string where;                          // the file of the tensors, for messages
  std::map<std::string, at::Tensor> tensors;  // fp32, CPU; only those that encoding and decoding need
  std::string hash;                           // of the configuration and every tensor's bytes
};

// config.json and model.safetensors. UserError for another kind of folder.
CodecFiles load_hf_layout(const fs::path& folder);

}  // namespace higgs::codec
