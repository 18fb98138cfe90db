// Goldens hf/model and e2e/adapter_hf in the boson layout: the same values under its key names. The
// repository keeps them once.
#pragma once

#include "support/paths.h"

namespace higgs::test {

// config.json (golden e2e/base_boson), weights and tokenizer.
void write_boson_base(const fs::path& folder);
void write_boson_adapter(const fs::path& folder);

}  // namespace higgs::test
