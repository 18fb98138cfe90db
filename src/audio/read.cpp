#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <utility>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr int kMinRate = 1000;
constexpr int kMaxRate = 768000;
constexpr sf_count_t kChunkFrames = 16384;
// A range may end this much past the clip, since manifests round: the rest is what there is, as in librosa.
constexpr double kRangeSlackSeconds = 0.1;

// Begins every message of this file: `manifest:line: path: `.
class Place {
 public:
  Place(const std::string& name, const std::string& where)
      : prefix_((where.empty() ? "" : where + ": ") + name + ": ") {}
  UserError error(const std::string& what) const { return UserError(prefix_ + what); }

 private:
  std::string prefix_;
};

std::string seconds(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3f s", value);
  return text;
}

// Lets libsndfile read from memory.
struct MemoryStream {
  std::string_view bytes;
  sf_count_t position = 0;

  static sf_count_t size(void* self) {
    return static_cast<sf_count_t>(static_cast<MemoryStream*>(self)->bytes.size());
  }
  static sf_count_t tell(void* self) { return static_cast<MemoryStream*>(self)->position; }
  static sf_count_t seek(sf_count_t offset, int whence, void* self) {
    auto& stream = *static_cast<MemoryStream*>(self);
    const sf_count_t end = size(self);
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? stream.position : end;
    sf_count_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return -1;
    return stream.position = target;  // past the end is allowed, as with files: reads then give nothing
  }
  static sf_count_t read(void* to, sf_count_t count, void* self) {
    auto& stream = *static_cast<MemoryStream*>(self);
    const sf_count_t n = std::clamp<sf_count_t>(size(self) - stream.position, 0, count);
    if (n == 0) return 0;  // also keeps a position past the end from becoming a pointer
    std::memcpy(to, stream.bytes.data() + stream.position, static_cast<std::size_t>(n));
    stream.position += n;
    return n;
  }
  static sf_count_t write(const void*, sf_count_t, void*) { return 0; }
};

class SoundFile {
 public:
  SoundFile(SNDFILE* handle, const SF_INFO& info) : handle_(handle), info_(info) {}
  SoundFile(SoundFile&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), info_(other.info_) {}
  ~SoundFile() {
    if (handle_ != nullptr) sf_close(handle_);
  }
  SoundFile(const SoundFile&) = delete;
  SoundFile& operator=(const SoundFile&) = delete;

  SNDFILE* handle() const { return handle_; }
  const SF_INFO& info() const { return info_; }
  // MP3 and Ogg headers only estimate how many frames follow.
  bool length_is_exact() const {
    const int format = info_.format & SF_FORMAT_TYPEMASK;
    return format != SF_FORMAT_MPEG && format != SF_FORMAT_OGG;
  }

 private:
  SNDFILE* handle_;
  SF_INFO info_;
};

struct FrameRange {
  sf_count_t begin = 0;
  sf_count_t count = 0;
};

// librosa's frames for a range: int(offset * rate) and int(duration * rate).
FrameRange frames_of(const ClipRange& range, const SF_INFO& info, const Place& place) {
  const double rate = info.samplerate;
  const double offset = range.offset.value_or(0.0);
  if (!std::isfinite(offset) || offset < 0) {
    throw place.error("the offset " + seconds(offset) + " is not a time in the clip");
  }
  const double clip_seconds = static_cast<double>(info.frames) / rate;
  if (offset >= clip_seconds) {
    throw place.error("the range begins at " + seconds(offset) + ", the clip ends at " +
                      seconds(clip_seconds) + "; correct the offset");
  }
  FrameRange frames;
  frames.begin = static_cast<sf_count_t>(offset * rate);
  frames.count = info.frames - frames.begin;
  if (range.duration) {
    const double duration = *range.duration;
    if (!std::isfinite(duration) || duration <= 0) {
      throw place.error("the duration " + seconds(duration) + " is not above zero");
    }
    if (offset + duration > clip_seconds + kRangeSlackSeconds) {
      throw place.error("the range ends at " + seconds(offset + duration) + ", the clip at " +
                        seconds(clip_seconds) + "; correct offset or duration");
    }
    frames.count = std::min(frames.count, static_cast<sf_count_t>(duration * rate));
    if (frames.count == 0) throw place.error("the duration " + seconds(duration) + " holds no sample");
  }
  return frames;
}

void check_header(const SF_INFO& info, const Place& place) {
  if (info.samplerate < kMinRate || info.samplerate > kMaxRate) {
    throw place.error("a sample rate of " + std::to_string(info.samplerate) + " Hz; " +
                      std::to_string(kMinRate) + " to " + std::to_string(kMaxRate) + " are read");
  }
  if (info.channels < 1 || info.channels > kMaxClipChannels) {
    throw place.error(std::to_string(info.channels) + " channels; 1 to " + std::to_string(kMaxClipChannels) +
                      " are read");
  }
  if (info.frames <= 0) throw place.error("no samples in it; remove or replace the clip");
}

// Mean over the channels, summed in float in channel order as numpy does.
void append_mono(const std::vector<float>& interleaved, sf_count_t frames, int channels,
                 std::vector<float>& mono) {
  for (sf_count_t frame = 0; frame < frames; ++frame) {
    const float* values = interleaved.data() + frame * channels;
    float sum = values[0];
    for (int channel = 1; channel < channels; ++channel) sum += values[channel];
    mono.push_back(channels == 1 ? sum : sum / static_cast<float>(channels));
  }
}

std::vector<float> read_mono(const SoundFile& file, const FrameRange& range, const Place& place) {
  const int channels = file.info().channels;
  if (range.begin > 0 && sf_seek(file.handle(), range.begin, SEEK_SET) != range.begin) {
    throw place.error("cannot be read from the offset on; is it damaged?");
  }
  std::vector<float> mono;
  std::vector<float> buffer(static_cast<std::size_t>(kChunkFrames * channels));
  sf_count_t left = range.count;
  while (left > 0) {
    const sf_count_t n = sf_readf_float(file.handle(), buffer.data(), std::min(left, kChunkFrames));
    if (n <= 0) break;
    append_mono(buffer, n, channels, mono);
    left -= n;
  }
  if (sf_error(file.handle()) != SF_ERR_NO_ERROR || (left > 0 && file.length_is_exact())) {
    throw place.error("damaged or cut short after " + std::to_string(mono.size()) +
                      " samples; replace the clip");
  }
  if (mono.empty()) throw place.error("no samples in it; remove or replace the clip");
  return mono;
}

void check_finite(const std::vector<float>& samples, int rate, const Place& place) {
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float v) { return !std::isfinite(v); });
  if (bad == samples.end()) return;
  const auto index = bad - samples.begin();
  throw place.error("sample " + std::to_string(index) + " (at " + seconds(static_cast<double>(index) / rate) +
                    ") is not a finite number; replace the clip");
}

constexpr std::size_t kBeginning = 12;  // bytes that tell the kind

bool begins_as_mpeg_or_flac(std::string_view bytes) {
  return bytes.starts_with("fLaC") ||
         (bytes.size() >= 2 && bytes[0] == '\xFF' && (static_cast<unsigned char>(bytes[1]) & 0xE0U) == 0xE0U);
}

// Size of the ID3 tag that begins here; its header is ten bytes, four of them the rest's size in 28 bits.
std::size_t tag_size(std::string_view bytes) {
  std::size_t size = 0;
  for (std::size_t i = 6; i < 10; ++i) size = size << 7U | (static_cast<unsigned char>(bytes[i]) & 0x7FU);
  return size + 10;
}

// Whether a file begins as one of the four kinds does; `beginning(offset)`: up to kBeginning bytes from
// there. libsndfile knows some twenty other kinds, old and seldom tested, and looks for them behind ID3 tags
// too: their readers never see a byte.
bool begins_as_sound(const std::function<std::string(std::size_t offset)>& beginning) {
  std::string bytes = beginning(0);
  std::size_t offset = 0;
  for (int tags = 0; bytes.starts_with("ID3") && bytes.size() == kBeginning && tags < 16; ++tags) {
    offset += tag_size(bytes);
    bytes = beginning(offset);
  }
  if (offset > 0 || begins_as_mpeg_or_flac(bytes)) return begins_as_mpeg_or_flac(bytes);
  if (bytes.starts_with("OggS")) return true;
  const bool riff = bytes.starts_with("RIFF") || bytes.starts_with("RIFX") || bytes.starts_with("RF64");
  return riff && bytes.size() == kBeginning && bytes.ends_with("WAVE");
}

bool is_read_kind(const SF_INFO& info) {
  switch (info.format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
    case SF_FORMAT_RF64:
    case SF_FORMAT_FLAC:
    case SF_FORMAT_OGG:
    case SF_FORMAT_MPEG:
      return true;
    default:
      return false;
  }
}

[[noreturn]] void refuse_kind(const Place& place) {
  throw place.error("is not an audio file; wav, flac, ogg and mp3 are read");
}

struct Opened {
  SNDFILE* handle = nullptr;
  int error = SF_ERR_NO_ERROR;
};

// One thread at a time: why an opening failed, libsndfile keeps in one place for the whole process.
template <typename Open>
Opened open_alone(const Open& open) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  SNDFILE* const handle = open();
  return {handle, handle == nullptr ? sf_error(nullptr) : SF_ERR_NO_ERROR};
}

// Closes what isn't one of the four kinds, or has a header that can't be.
SoundFile checked(const Opened& opened, const SF_INFO& info, const Place& place) {
  if (opened.handle == nullptr) {
    if (opened.error == SF_ERR_UNRECOGNISED_FORMAT) refuse_kind(place);
    throw place.error("is damaged, or of an unknown kind; wav, flac, ogg and mp3 are read");
  }
  SoundFile file(opened.handle, info);
  if (!is_read_kind(info)) refuse_kind(place);
  check_header(info, place);
  return file;
}

Waveform read_opened(const Opened& opened, const SF_INFO& info, const ClipRange& range, const Place& place) {
  const SoundFile file = checked(opened, info, place);
  const FrameRange frames = frames_of(range, info, place);
  const double most = std::min(kMaxClipSeconds * info.samplerate, static_cast<double>(kMaxClipSamples));
  if (static_cast<double>(frames.count) > most) {
    throw place.error(seconds(static_cast<double>(frames.count) / info.samplerate) + " long, at most " +
                      seconds(most / info.samplerate) +
                      " are read; cut the clip, or give offset and duration");
  }
  Waveform wave{read_mono(file, frames, place), info.samplerate};
  check_finite(wave.samples, wave.sample_rate, place);
  return wave;
}

Opened open_file(const fs::path& path, SF_INFO& info, const Place& place) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw place.error("no such file");
  if (status.type() != fs::file_type::regular) throw place.error("is not a file that can be read");
  std::ifstream stream(path, std::ios::binary);
  const auto beginning = [&](std::size_t offset) {
    std::string bytes(kBeginning, '\0');
    stream.clear();
    stream.seekg(static_cast<std::streamoff>(offset));
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(stream.gcount()));
    return bytes;
  };
  if (stream && !begins_as_sound(beginning)) refuse_kind(place);
  const Opened opened = open_alone([&] { return sf_open(path.c_str(), SFM_READ, &info); });
  if (opened.error == SF_ERR_SYSTEM) throw place.error("cannot be opened");
  return opened;
}

}  // namespace

Waveform read_audio_file(const fs::path& path, const ClipRange& range, const std::string& where) {
  const Place place(path.string(), where);
  SF_INFO info{};
  const Opened opened = open_file(path, info, place);
  return read_opened(opened, info, range, place);
}

AudioInfo probe_audio_file(const fs::path& path, const std::string& where) {
  const Place place(path.string(), where);
  SF_INFO info{};
  const Opened opened = open_file(path, info, place);
  checked(opened, info, place);
  return {static_cast<double>(info.frames) / info.samplerate, info.samplerate};
}

Waveform read_audio_bytes(std::string_view bytes, const std::string& name, const ClipRange& range,
                          const std::string& where) {
  const Place place(name, where);
  const auto beginning = [&](std::size_t offset) {
    return std::string(bytes.substr(std::min(offset, bytes.size()), kBeginning));
  };
  if (!begins_as_sound(beginning)) refuse_kind(place);
  MemoryStream stream{bytes};
  SF_VIRTUAL_IO io{MemoryStream::size, MemoryStream::seek, MemoryStream::read, MemoryStream::write,
                   MemoryStream::tell};
  SF_INFO info{};
  const Opened opened = open_alone([&] { return sf_open_virtual(&io, SFM_READ, &info, &stream); });
  return read_opened(opened, info, range, place);
}

}  // namespace higgs
