// Checkpoints named by a Hugging Face id, found in the local cache; nothing is downloaded here.
#pragma once

#include <string>

#include "higgs/base/file.h"

namespace higgs {

// `name` as a folder when it is one; else, when it looks like ORG/NAME, its snapshot in the hub cache
// ($HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub). UserError naming
// `flag` and what to run when it isn't there, or is there without its config.json (a download that was cut
// short, a gated repository).
fs::path resolve_checkpoint(const std::string& name, const std::string& flag);

// What to do about files that a checkpoint folder lacks, as the end of a sentence: says so when the folder is
// a snapshot of the hub cache whose download stopped in the middle (a blob that ends in .incomplete).
std::string download_advice(const fs::path& folder);

// Whether `name` has the form ORG/NAME.
bool is_hub_id(const std::string& name);

// ORG/NAME of a snapshot folder inside a hub cache; "" for any other folder.
std::string hub_id_of(const fs::path& folder);

}  // namespace higgs
