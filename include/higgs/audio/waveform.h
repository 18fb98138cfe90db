// Sound as mono float samples: read from files, resampled, written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct Waveform {
  std::vector<float> samples;  // mono, nominally in [-1, 1]
  int sample_rate = 0;         // Hz
};

// Which part of a clip is meant; seconds.
struct ClipRange {
  std::optional<double> offset;
  std::optional<double> duration;
};

// Reads wav, flac, ogg or mp3 at the file's own rate and mixes the channels to mono (their mean), as
// librosa.load(path, sr=None, mono=True). Safe on several threads. UserError naming the path (and `where` =
// manifest:line when not empty) for a missing file, no audio file, a rate outside 1 to 768 kHz, more than
// kMaxClipChannels, zero samples, more than kMaxClipSeconds or kMaxClipSamples of what is asked for,
// non-finite samples, or a range outside the clip (its end may lie 0.1 s past the clip's, since manifests
// round; the rest is read, as by librosa).
Waveform read_audio_file(const fs::path& path, const ClipRange& range = {}, const std::string& where = "");
// The same from a file's bytes (`name` stands for the path in messages).
Waveform read_audio_bytes(std::string_view bytes, const std::string& name, const ClipRange& range = {},
                          const std::string& where = "");
inline constexpr double kMaxClipSeconds = 3600.0;
inline constexpr std::int64_t kMaxClipSamples = std::int64_t{3600} * 48000;  // an hour at 48 kHz: 0.7 GB
inline constexpr int kMaxClipChannels = 64;

// What a file's header says, without decoding it: an MP3's length may be off a little. UserError as
// read_audio_file(), as far as the header shows.
struct AudioInfo {
  double seconds = 0.0;
  int sample_rate = 0;  // Hz
};
AudioInfo probe_audio_file(const fs::path& path, const std::string& where = "");

// soxr HQ, as librosa.resample(res_type="soxr_hq"): ceil(n * (to / from)) samples in librosa's double
// arithmetic (44100 samples at 44.1 kHz give 24001 at 24 kHz, the last one 0); unchanged when the rates
// agree.
std::vector<float> resample_soxr(std::span<const float> samples, int from_rate, int to_rate);

// Windowed-sinc polyphase resampling as torchaudio.functional.resample with its defaults
// (sinc_interp_hann, lowpass_filter_width 6, rolloff 0.99): ceil(n * to / from) samples.
std::vector<float> resample_sinc(std::span<const float> samples, int from_rate, int to_rate);

// The bytes of a 16-bit PCM WAV file; samples are clipped to [-1, 1]. RunError, beginning with `name`, for
// what is too long or not a finite number.
std::string wav_bytes(std::span<const float> samples, int sample_rate, const std::string& name);
// Ogg Vorbis at the encoder's middle quality, some 6 kB a second of speech at 24 kHz; samples are clipped to
// [-1, 1]. The bytes differ from call to call: the stream has a random serial number. RunError, beginning with
// `name`, for what isn't a finite number or a rate that Vorbis doesn't know.
std::string ogg_bytes(std::span<const float> samples, int sample_rate, const std::string& name);
// The WAV as a file, written atomically.
void write_wav(const fs::path& path, const Waveform& wave);

}  // namespace higgs
