#include "higgs/data/code_store.h"

#include <cmath>
#include <cstdlib>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/data/clip_file.h"

namespace higgs {

fs::path default_code_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return fs::path(cache) / "higgs_train" / "codes";
  }
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : ".") / ".cache" / "higgs_train" / "codes";
}

CodeStore::CodeStore(CodecOpener open_codec, fs::path cache_folder, std::int64_t num_codebooks,
                     std::int64_t codebook_size)
    : open_codec_(std::move(open_codec)),
      cache_folder_(std::move(cache_folder)),
      num_codebooks_(num_codebooks),
      codebook_size_(codebook_size) {}

CodeStore::~CodeStore() = default;

const AudioTokenizer& CodeStore::codec() {
  std::call_once(codec_opened_, [this] {
    auto codec = open_codec_();
    HIGGS_ASSERT(codec != nullptr);
    if (codec->num_codebooks() != num_codebooks_) {
      throw UserError("the audio tokenizer has " + std::to_string(codec->num_codebooks()) +
                      " codebooks, the base has " + std::to_string(num_codebooks_) +
                      "; give the one the base was trained with as --audio_tokenizer");
    }
    if (codec->codebook_size() != codebook_size_) {
      throw UserError("the audio tokenizer has codebooks of " + std::to_string(codec->codebook_size()) +
                      " codes, the base of " + std::to_string(codebook_size_) +
                      "; give the one the base was trained with as --audio_tokenizer");
    }
    codec_ = std::move(codec);
  });
  return *codec_;
}

fs::path CodeStore::scratch_folder() const {
  std::error_code error;
  if (cache_folder_.empty()) return {};
  fs::create_directories(cache_folder_, error);
  return error ? fs::path() : cache_folder_;
}

fs::path CodeStore::cache_path(const ClipFile& file, const AudioContent& clip) {
  Hasher hasher;
  hasher.update(codec().fingerprint()).update(file.bytes());
  hasher.update(clip.offset.value_or(-1.0)).update(clip.duration.value_or(-1.0));
  const std::string key = hasher.hex();
  return cache_folder_ / key.substr(0, 2) / (key + ".safetensors");
}

std::optional<Codes> CodeStore::given_or_cached(const ClipFile& file, const AudioContent& clip,
                                                const std::string& where) {
  if (file.holds_codes()) {
    try {
      Codes codes = read_codes(file.path());
      check_codes(codes, num_codebooks_, codebook_size_, file.name());
      return codes;
    } catch (const UserError& error) {
      throw UserError(where + ": " + error.what());
    }
  }
  const fs::path cached = cache_path(file, clip);
  if (!fs::exists(cached)) return std::nullopt;
  try {
    Codes codes = read_codes(cached);
    check_codes(codes, num_codebooks_, codebook_size_, cached.string());
    ++num_reused_;
    return codes;
  } catch (const UserError& error) {
    log::warn(std::string(error.what()) + "; encoding the clip again");
    return std::nullopt;
  }
}

std::optional<Codes> CodeStore::find(const AudioContent& clip, const ClipFolder& folder,
                                     const std::string& where) {
  return given_or_cached(ClipFile(clip, folder, where), clip, where);
}

Codes CodeStore::codes(const AudioContent& clip, const ClipFolder& folder, const std::string& where) {
  const ClipFile file(clip, folder, where);
  if (std::optional<Codes> found = given_or_cached(file, clip, where)) return *std::move(found);
  return encode(file, clip, where);
}

Codes CodeStore::encode(const ClipFile& file, const AudioContent& clip, const std::string& where) {
  const std::string name = where.empty() ? file.name() : where + ": " + file.name();
  const Waveform wave = read_audio_bytes(file.bytes(), file.name(), {clip.offset, clip.duration}, where);
  const double seconds = static_cast<double>(wave.samples.size()) / wave.sample_rate;
  if (seconds > kMaxEncodedSeconds) {
    throw UserError(name + ": " + std::to_string(std::lround(seconds)) + " s long, at most " +
                    std::to_string(std::lround(kMaxEncodedSeconds)) +
                    " s are encoded as one clip; cut it, or give offset and duration");
  }
  const AudioTokenizer& tokenizer = codec();
  const auto samples = resample_soxr(wave.samples, wave.sample_rate, tokenizer.sample_rate());
  Codes codes = tokenizer.encode(samples, name);
  ++num_encoded_;
  if (cache_writable_) {
    const fs::path cached = cache_path(file, clip);
    try {
      std::error_code error;
      fs::create_directories(cached.parent_path(), error);
      if (error) throw RunError(cached.parent_path().string() + ": " + error.message());
      write_codes(cached, codes);
    } catch (const RunError& error) {
      cache_writable_ = false;
      log::warn(std::string("codes are not cached: ") + error.what());
    }
  }
  return codes;
}

}  // namespace higgs
