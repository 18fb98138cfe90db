// Clips -> codes, each clip encoded once: kept in a content-addressed cache on disk.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "higgs/codec/audio_tokenizer.h"
#include "higgs/data/chatml.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/clip_folder.h"

namespace higgs {

// Longest clip that is encoded: the released codec takes some 12 MB a second meanwhile.
inline constexpr double kMaxEncodedSeconds = 600.0;

class CodeStore {
 public:
  // Opens the codec when the first clip needs it; returning null means there is none.
  using CodecOpener = std::function<std::unique_ptr<AudioTokenizer>()>;

  // `cache_folder` is made when missing; when it can't be written, a warning is given and nothing is cached.
  CodeStore(CodecOpener open_codec, fs::path cache_folder, std::int64_t num_codebooks,
            std::int64_t codebook_size);
  ~CodeStore();

  // Codes of a clip; found as `folder` says. A `.safetensors` file is taken as already
  // encoded. UserError, `where` in front, for what can't be read, is too short, or has other codebooks.
  Codes codes(const AudioContent& clip, const ClipFolder& folder, const std::string& where);
  // The same where they need not be encoded; any number of threads at once.
  std::optional<Codes> find(const AudioContent& clip, const ClipFolder& folder, const std::string& where);

  std::int64_t num_encoded() const { return num_encoded_; }  // clips that weren't in the cache
  std::int64_t num_reused() const { return num_reused_; }
  const AudioTokenizer& codec();
  // The cache folder, for other files that are worth a disk's room; "" when it isn't there and can't be made.
  fs::path scratch_folder() const;

 private:
  // Where the cache has or gets the codes of a clip that isn't encoded.
  fs::path cache_path(const ClipFile& file, const AudioContent& clip);
  std::optional<Codes> given_or_cached(const ClipFile& file, const AudioContent& clip,
                                       const std::string& where);
  Codes encode(const ClipFile& file, const AudioContent& clip, const std::string& where);

  CodecOpener open_codec_;
  std::once_flag codec_opened_;
  std::unique_ptr<AudioTokenizer> codec_;
  fs::path cache_folder_;
  bool cache_writable_ = true;
  std::int64_t num_codebooks_, codebook_size_;
  std::int64_t num_encoded_ = 0;
  std::atomic<std::int64_t> num_reused_ = 0;
};

// $XDG_CACHE_HOME/higgs_train/codes, or ~/.cache/higgs_train/codes.
fs::path default_code_cache();

}  // namespace higgs
