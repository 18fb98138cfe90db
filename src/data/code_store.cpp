#include "higgs/data/code_store.h"

#include <cmath>
#include <cstdlib>

#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/data/clip_file.h"

namespace higgs {
namespace {

constexpr double kMaxEncodedSeconds = 600.0;  // the released codec takes some 12 MB a second while it encodes

}  // namespace

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
  if (!codec_) {
    codec_ = open_codec_();
    HIGGS_ASSERT(codec_ != nullptr);
    if (codec_->num_codebooks() != num_codebooks_) {
      throw UserError("the audio tokenizer has " + std::to_string(codec_->num_codebooks()) +
                      " codebooks, the base has " + std::to_string(num_codebooks_) +
                      "; give the one the base was trained with as --audio_tokenizer");
    }
    if (codec_->codebook_size() != codebook_size_) {
      throw UserError("the audio tokenizer has codebooks of " + std::to_string(codec_->codebook_size()) +
                      " codes, the base of " + std::to_string(codebook_size_) +
                      "; give the one the base was trained with as --audio_tokenizer");
    }
  }
  return *codec_;
}

fs::path CodeStore::cache_path(const std::string& key) const {
  return cache_folder_ / key.substr(0, 2) / (key + ".safetensors");
}

fs::path CodeStore::scratch_folder() const {
  std::error_code error;
  if (cache_folder_.empty()) return {};
  fs::create_directories(cache_folder_, error);
  return error ? fs::path() : cache_folder_;
}

Codes CodeStore::codes(const AudioContent& clip, const ClipFolder& folder, const std::string& where) {
  const ClipFile file(clip, folder, where);
  if (!file.holds_codes()) return encode_cached(file.bytes(), file.name(), clip, where);
  try {
    Codes codes = read_codes(file.path());
    check_codes(codes, num_codebooks_, codebook_size_, file.name());
    return codes;
  } catch (const UserError& error) {
    throw UserError(where + ": " + error.what());
  }
}

Codes CodeStore::encode_cached(std::string_view bytes, const std::string& name, const AudioContent& clip,
                               const std::string& where) {
  const AudioTokenizer& tokenizer = codec();
  Hasher hasher;
  hasher.update(tokenizer.fingerprint()).update(bytes);
  hasher.update(clip.offset.value_or(-1.0)).update(clip.duration.value_or(-1.0));
  const fs::path cached = cache_path(hasher.hex());
  if (fs::exists(cached)) {
    try {
      Codes codes = read_codes(cached);
      check_codes(codes, num_codebooks_, codebook_size_, cached.string());
      ++num_reused_;
      return codes;
    } catch (const UserError& error) {
      log::warn(std::string(error.what()) + "; encoding the clip again");
    }
  }
  const Waveform wave = read_audio_bytes(bytes, name, {clip.offset, clip.duration}, where);
  const double seconds = static_cast<double>(wave.samples.size()) / wave.sample_rate;
  if (seconds > kMaxEncodedSeconds) {
    throw UserError((where.empty() ? name : where + ": " + name) + ": " +
                    std::to_string(std::lround(seconds)) + " s long, at most " +
                    std::to_string(std::lround(kMaxEncodedSeconds)) +
                    " s are encoded as one clip; cut it, or give offset and duration");
  }
  const auto samples = resample_soxr(wave.samples, wave.sample_rate, tokenizer.sample_rate());
  Codes codes = tokenizer.encode(samples, where.empty() ? name : where + ": " + name);
  ++num_encoded_;
  if (cache_writable_) {
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
