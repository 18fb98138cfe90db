#include "higgs/data/clip_file.h"

#include "higgs/audio/log_mel.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/data/base64.h"

namespace higgs {

ClipFile::ClipFile(const AudioContent& clip, const fs::path& manifest_folder, const std::string& where) {
  const bool unnamed = clip.audio_url.empty() || clip.audio_url == "placeholder";
  if (unnamed && clip.raw_audio) {
    name_ = "raw_audio";
    inline_bytes_ = decode_base64(*clip.raw_audio, where);
    return;
  }
  if (unnamed) throw UserError(where + ": a clip has neither an audio_url nor raw_audio");
  if (clip.audio_url.find("://") != std::string::npos) {
    throw UserError(where + ": audio_url '" + clip.audio_url +
                    "' is not a local file; download the clip first");
  }
  const fs::path path =
      fs::path(clip.audio_url).is_absolute() ? fs::path(clip.audio_url) : manifest_folder / clip.audio_url;
  if (!fs::exists(path)) throw UserError(where + ": " + path.string() + ": no such clip");
  name_ = path.string();
  holds_codes_ = path.extension() == ".safetensors";
  if (!holds_codes_) file_.emplace(path);
}

std::string_view ClipFile::bytes() const {
  if (!file_) return inline_bytes_;
  return {reinterpret_cast<const char*>(file_->bytes().data()), file_->bytes().size()};
}

HeardClip heard_clip(const AudioContent& clip, const fs::path& manifest_folder, const std::string& where) {
  HeardClip heard;
  {
    const ClipFile file(clip, manifest_folder, where);
    if (file.holds_codes()) {
      throw UserError(where + ": " + file.name() +
                      ": this base hears the clip through its audio tower: give the recording, not codes");
    }
    heard.hash = Hasher()
                     .update(file.bytes())
                     .update(clip.offset.value_or(-1.0))
                     .update(clip.duration.value_or(-1.0))
                     .hex();
  }
  heard.read = [clip, manifest_folder, where] {
    const ClipFile file(clip, manifest_folder, where);
    const Waveform wave = read_audio_bytes(file.bytes(), file.name(), {clip.offset, clip.duration}, where);
    return resample_soxr(wave.samples, wave.sample_rate, kMelSampleRate);
  };
  heard.num_samples = static_cast<std::int64_t>(heard.read().size());
  return heard;
}

}  // namespace higgs
