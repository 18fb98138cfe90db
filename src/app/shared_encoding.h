// A manifest's clips, encoded by all ranks of a job into the code cache.
#pragma once

#include <string>

#include "higgs/app/base_model.h"
#include "higgs/dist/collective.h"

namespace higgs {

struct EncodedCount {
  std::int64_t lines = 0;    // good ones
  std::int64_t encoded = 0;  // clips encoded now
  std::int64_t reused = 0;   // clips that were in the cache
};

// Ranks take line after line as they get done, so that long clips hold nobody up. With several machines each
// goes through the manifest once more by itself: the cache may not be shared. Bad lines go to `on_bad_line`;
// those of other ranks don't. Returns what the ranks did together. UserError; Stopped.
EncodedCount encode_together(const std::string& manifest, BaseModel& base, Collective& ranks,
                             const std::function<void(const UserError&)>& on_bad_line);

}  // namespace higgs
