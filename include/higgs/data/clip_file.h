// A clip as a manifest names it, found: a file beside the manifest, or bytes inside it.
#pragma once

#include <string>
#include <string_view>

#include "higgs/base/file.h"
#include "higgs/data/chatml.h"
#include "higgs/data/clip_folder.h"
#include "higgs/data/collate.h"

namespace higgs {

class ClipFile {
 public:
  // UserError, `where` in front, when there is no such clip, or `folder` doesn't allow it.
  ClipFile(const AudioContent& clip, const ClipFolder& folder, const std::string& where);

  std::string_view bytes() const { return bytes_; }
  const std::string& name() const { return name_; }  // its path, or "raw_audio"
  const fs::path& path() const { return path_; }     // to read it by; "" for bytes inside the manifest
  // A `.safetensors` file, taken as already encoded.
  bool holds_codes() const { return holds_codes_; }

 private:
  std::string name_;
  fs::path path_;
  // Read, not mapped: the file may be cut short by someone else, and a mapping of it would then end the
  // program.
  std::string bytes_;
  bool holds_codes_ = false;
};

// HeardClip::read of a clip.
std::function<std::vector<float>()> heard_clip_reader(const AudioContent& clip, const ClipFolder& folder,
                                                      const std::string& where);

// The clip for an audio tower: read once now, so that a mistake is known, and whenever a batch wants it.
// UserError also for a clip of which only codes are given.
HeardClip heard_clip(const AudioContent& clip, const ClipFolder& folder, const std::string& where);

}  // namespace higgs
