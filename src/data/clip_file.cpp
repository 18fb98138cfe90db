#include "higgs/data/clip_file.h"

#include <limits>

#include "higgs/audio/log_mel.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/data/base64.h"

namespace higgs {

ClipFile::ClipFile(const AudioContent& clip, const ClipFolder& folder, const std::string& where) {
  const bool unnamed = clip.audio_url.empty() || clip.audio_url == "placeholder";
  if (unnamed && clip.raw_audio) {
    name_ = "raw_audio";
    bytes_ = decode_base64(*clip.raw_audio, where);
    return;
  }
  if (unnamed) throw UserError(where + ": a clip has neither an audio_url nor raw_audio");
  path_ = folder.find(clip.audio_url, where);
  const fs::path named(clip.audio_url);
  name_ = (named.is_absolute() ? named : folder.path / named).string();
  holds_codes_ = named.extension() == ".safetensors";
  if (!holds_codes_) bytes_ = read_file(path_, std::numeric_limits<std::size_t>::max());
}

std::function<std::vector<float>()> heard_clip_reader(const AudioContent& clip, const ClipFolder& folder,
                                                      const std::string& where) {
  return [clip, folder, where] {
    const ClipFile file(clip, folder, where);
    const Waveform wave = read_audio_bytes(file.bytes(), file.name(), {clip.offset, clip.duration}, where);
    return resample_soxr(wave.samples, wave.sample_rate, kMelSampleRate);
  };
}

HeardClip heard_clip(const AudioContent& clip, const ClipFolder& folder, const std::string& where) {
  HeardClip heard;
  {
    const ClipFile file(clip, folder, where);
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
  heard.clip = clip;
  heard.read = heard_clip_reader(clip, folder, where);
  heard.num_samples = static_cast<std::int64_t>(heard.read().size());
  return heard;
}

}  // namespace higgs
