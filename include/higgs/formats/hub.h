// Checkpoints named by a Hugging Face id, found in the local cache; nothing is downloaded here.
#pragma once

#include <string>

#include "higgs/base/file.h"

namespace higgs {

// `name` as a folder when it is one; else, when it looks like ORG/NAME, its snapshot in the hub cache
// ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub). UserError naming `flag` and the `hf download`
// command otherwise.
fs::path resolve_checkpoint(const std::string& name, const std::string& flag);

}  // namespace higgs
