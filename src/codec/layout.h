// Codec folders as read from disk. Each layout has a loader that gives the same thing: the tensors under the
// names of the HF layout, the configuration, and a hash of both.
#pragma once

#include <map>
#include <string>

#include "config.h"
#include "higgs/base/file.h"
#include "higgs/base/hash.h"
#include "higgs/codec/frames.h"
#include "higgs/formats/safetensors.h"
#include "weights.h"

namespace higgs::codec {

struct CodecFiles {
  CodecConfig config;
  CodecRule rule = CodecRule::kHf;                  // of the implementation the layout belongs to
  std::string where;                                // the file of the tensors, for messages
  std::map<std::string, at::Tensor> tensors;        // fp32, CPU; only those that encoding and decoding need
  std::map<std::string, std::string> stored_names;  // of each tensor; empty where they are the same
  std::string hash;                                 // of the configuration and every tensor's bytes
};

// A codec folder of either layout. UserError for another kind of folder.
CodecFiles load_codec_folder(const fs::path& folder);

// config.json and model.safetensors, as transformers writes them.
CodecFiles load_hf_layout(const fs::path& folder);
// config.json and model.pth, as boson_multimodal reads them; HuBERT's settings and, where model.pth doesn't
// hold them, its weights from semantic_model/ beside it.
CodecFiles load_boson_layout(const fs::path& folder);

// A tensor of the boson layout under its name in the HF layout, `num_blocks` being the acoustic encoder's
// number of strides; a name of neither stays as it is.
std::string hf_name_of(const std::string& boson_name, std::size_t num_blocks);

// The file of that name. UserError when it is missing, saying how to get it, or a git-LFS pointer.
fs::path weights_path(const fs::path& folder, const std::string& name);
// A copy in fp32. UserError, `where` in front, unless it is floating point (or bool).
at::Tensor to_float(const TensorView& view, const std::string& where);
void hash_tensors(Hasher& hasher, const std::map<std::string, TensorView>& tensors);

}  // namespace higgs::codec
