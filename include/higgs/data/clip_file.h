// A clip as a manifest names it, found: a file beside the manifest, or bytes inside it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "higgs/base/file.h"
#include "higgs/data/chatml.h"
#include "higgs/data/collate.h"

namespace higgs {

class ClipFile {
 public:
  // Relative paths start from `manifest_folder`. UserError, `where` in front, when there is no such clip.
  ClipFile(const AudioContent& clip, const fs::path& manifest_folder, const std::string& where);

  std::string_view bytes() const;
  const std::string& name() const { return name_; }  // its path, or "raw_audio"
  // A `.safetensors` file, taken as already encoded.
  bool holds_codes() const { return holds_codes_; }

 private:
  std::string name_, inline_bytes_;
  std::optional<MappedFile> file_;
  bool holds_codes_ = false;
};

// The clip for an audio tower: read once now, so that a mistake is known, and whenever a batch wants it.
// UserError also for a clip of which only codes are given.
HeardClip heard_clip(const AudioContent& clip, const fs::path& manifest_folder, const std::string& where);

}  // namespace higgs
