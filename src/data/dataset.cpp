#include "higgs/data/dataset.h"

#include <map>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/log.h"
#include "higgs/data/clip_file.h"

namespace higgs {
namespace {

// Positions after expansion: a placeholder becomes the frames of its codes with BOS, EOS and the delay's
// tail, or its features, or both.
std::int64_t expanded_length(const EncodedSample& sample, const SpecialIds& ids) {
  std::int64_t length = static_cast<std::int64_t>(sample.input_ids.size());
  std::size_t clip = 0;
  for (const std::int64_t id : sample.input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    --length;
    if (id == ids.audio_out || ids.encode_audio_in) {
      length += sample.codes[clip].num_frames + ids.num_codebooks + 1;  // T + 2 + (C - 1)
    }
    if (id == ids.audio_in && ids.whisper) {
      length += heard_length(sample.heard[clip].num_samples, *ids.whisper);
    }
    ++clip;
  }
  return length;
}

// Gathers what generation wants to know of the training data.
class PromptStatistics {
 public:
  explicit PromptStatistics(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(const ChatMLSample& chat, const EncodedSample& sample, const SpecialIds& ids) {
    std::string system;
    for (const Message& message : chat.messages) {
      for (const Content& content : message.contents) {
        if (message.role == "system" && !content.audio) system += content.text;
        if (message.role == "user" && !content.audio) text_tokens_ += tokenizer_.encode(content.text).size();
      }
    }
    ++systems_[system];
    std::size_t clip = 0;
    for (const std::int64_t id : sample.input_ids) {
      if (id != ids.audio_in && id != ids.audio_out) continue;
      if (id == ids.audio_out) frames_ += sample.codes[clip].num_frames;
      ++clip;
    }
  }
  std::string system_text() const { return systems_.size() == 1 ? systems_.begin()->first : ""; }
  double seconds_per_text_token() const {
    return text_tokens_ == 0
               ? 0.0
               : static_cast<double>(frames_) / kFramesPerSecond / static_cast<double>(text_tokens_);
  }

 private:
  const Tokenizer& tokenizer_;
  std::map<std::string, std::size_t> systems_;
  std::size_t text_tokens_ = 0;
  std::int64_t frames_ = 0;
};

}  // namespace

EncodedSample encode_sample(TokenizedSample tokens, CodeStore& store, const SpecialIds& ids,
                            const ClipFolder& folder, const std::string& where) {
  check_placeholders(tokens, ids.audio_in, ids.audio_out, where);
  EncodedSample sample;
  for (const std::int64_t id : tokens.input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    const AudioContent& clip = tokens.audios[sample.codes.size()];
    const bool heard = ids.whisper && id == ids.audio_in;
    sample.heard.push_back(heard ? heard_clip(clip, folder, where) : HeardClip{});
    // Of a clip that is only heard, codes would go nowhere.
    sample.codes.push_back(heard && !ids.encode_audio_in ? Codes{ids.num_codebooks, 0, {}}
                                                         : store.codes(clip, folder, where));
  }
  sample.input_ids = std::move(tokens.input_ids);
  sample.label_ids = std::move(tokens.label_ids);
  sample.where = where;
  if (ids.whisper) cut_into_chunks(sample, collate_options(ids));  // for its errors
  return sample;
}

Dataset Dataset::load(const fs::path& path, const Tokenizer& tokenizer, CodeStore& store,
                      const SpecialIds& ids, const DatasetOptions& options) {
  const Manifest manifest(path, options.confine_paths);
  const SampleTokenizer to_tokens(tokenizer);
  Dataset dataset;
  PromptStatistics statistics(tokenizer);
  for (std::size_t i = 0; i < manifest.size(); ++i) {
    const std::string where = manifest.where(i);
    try {
      const ChatMLSample chat = parse_chatml(manifest.line(i), where);
      EncodedSample sample =
          encode_sample(to_tokens.tokenize(chat, where), store, ids, manifest.clips(), where);
      const std::int64_t length = expanded_length(sample, ids);
      if (options.max_tokens > 0 && length > options.max_tokens) {
        const std::string message = where + ": " + std::to_string(length) + " tokens, more than " +
                                    options.max_tokens_flag + " " + std::to_string(options.max_tokens);
        if (!options.skip_too_long)
          throw UserError(message + "; shorten the sample or give --on_too_long skip");
        log::warn(message + "; skipped");
        ++dataset.num_skipped_;
        continue;
      }
      statistics.add(chat, sample, ids);
      dataset.lengths_.push_back(length);
      dataset.samples_.push_back(std::move(sample));
    } catch (const UserError& error) {
      if (!options.skip_bad_samples) throw;
      log::warn(std::string(error.what()) + "; skipped");
      ++dataset.num_skipped_;
    }
    if (options.progress) options.progress(i + 1, manifest.size());
  }
  if (dataset.samples_.empty()) throw UserError(path.string() + ": no usable sample is left");
  dataset.system_text = statistics.system_text();
  dataset.seconds_per_text_token = statistics.seconds_per_text_token();
  return dataset;
}

std::string Dataset::fingerprint() const {
  Hasher hasher;
  for (const EncodedSample& sample : samples_) {
    hasher.update(std::as_bytes(std::span(sample.input_ids)));
    if (sample.label_ids) hasher.update(std::as_bytes(std::span(*sample.label_ids)));
    for (const Codes& codes : sample.codes) hasher.update(std::as_bytes(std::span(codes.values)));
    for (const HeardClip& clip : sample.heard) hasher.update(std::string_view(clip.hash));
    hasher.update(static_cast<std::uint64_t>(sample.codes.size()));
  }
  return hasher.hex();
}

Dataset Dataset::split_every(std::size_t k) {
  Dataset kept, taken;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    Dataset& target = (i + 1) % k == 0 ? taken : kept;
    target.samples_.push_back(std::move(samples_[i]));
    target.lengths_.push_back(lengths_[i]);
  }
  samples_ = std::move(kept.samples_);
  lengths_ = std::move(kept.lengths_);
  return taken;
}

std::size_t encode_lines(const fs::path& path, const Tokenizer& tokenizer, CodeStore& store,
                         const SpecialIds& ids, const std::function<std::size_t()>& next_line,
                         const std::function<void(const UserError&)>& on_bad_line, bool confine_paths) {
  const Manifest manifest(path, confine_paths);
  const SampleTokenizer to_tokens(tokenizer);
  std::size_t num_good = 0;
  for (std::size_t i; (i = next_line()) < manifest.size();) {
    try {
      const std::string where = manifest.where(i);
      const ChatMLSample chat = parse_chatml(manifest.line(i), where);
      encode_sample(to_tokens.tokenize(chat, where), store, ids, manifest.clips(), where);
      ++num_good;
    } catch (const UserError& error) {
      on_bad_line(error);
    }
  }
  return num_good;
}

CollateOptions collate_options(const SpecialIds& ids) {
  CollateOptions options;
  options.audio_in_id = ids.audio_in;
  options.audio_out_id = ids.audio_out;
  options.pad_id = ids.pad;
  options.stream_bos_id = ids.stream_bos;
  options.stream_eos_id = ids.stream_eos;
  options.return_audio_in_tokens = ids.encode_audio_in;
  options.num_codebooks = ids.num_codebooks;
  options.whisper = ids.whisper;
  return options;
}

PackedBatch make_batch(std::span<const EncodedSample* const> samples, const SpecialIds& ids,
                       std::span<const std::int64_t> places) {
  const CollatedBatch batch = collate(samples, collate_options(ids));
  return pack(batch, {ids.audio_in, ids.audio_out, ids.num_codebooks, places});
}

}  // namespace higgs
