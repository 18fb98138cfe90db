#include "higgs/data/dataset.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/expanded_length.h"
#include "higgs/data/leaks.h"
#include "higgs/data/manifest.h"
#include "sample_reader.h"

namespace higgs {
namespace {

std::int64_t length_of(const EncodedSample& sample, const SpecialIds& ids) {
  std::vector<ClipLength> clips;
  for (std::size_t i = 0; i < sample.codes.size(); ++i) {
    clips.push_back({sample.codes[i].num_frames, sample.heard[i].num_samples});
  }
  return expanded_length(sample.input_ids, clips, ids);
}

// Gathers what generation wants to know of the training data.
class PromptStatistics {
 public:
  void add(const ReadLine& line, const EncodedSample& sample, const SpecialIds& ids) {
    if (count_++ == 0) system_ = line.system;
    if (line.system != system_) one_system_ = false;
    text_tokens_ += line.num_text_tokens;
    std::size_t clip = 0;
    for (const std::int64_t id : sample.input_ids) {
      if (id != ids.audio_in && id != ids.audio_out) continue;
      if (id == ids.audio_out) frames_ += sample.codes[clip].num_frames;
      ++clip;
    }
  }
  std::string system_text() const { return one_system_ ? system_ : ""; }
  double seconds_per_text_token() const {
    return text_tokens_ == 0
               ? 0.0
               : static_cast<double>(frames_) / kFramesPerSecond / static_cast<double>(text_tokens_);
  }

 private:
  std::string system_;
  bool one_system_ = true;
  std::size_t count_ = 0, text_tokens_ = 0;
  std::int64_t frames_ = 0;
};

// Numbers for names, in the order in which they come; 0 for none.
class GroupNumbers {
 public:
  explicit GroupNumbers(GroupBy by) : by_(by) {}
  std::uint32_t of(const ReadLine& line) {
    const std::string& name = by_ == GroupBy::kSpeaker ? line.speaker : line.language;
    if (by_ == GroupBy::kNone || name.empty()) return 0;
    const auto [found, is_new] = numbers_.emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return found->second;
  }
  std::vector<std::string> names() && { return std::move(names_); }

 private:
  GroupBy by_;
  std::vector<std::string> names_{""};
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

// `codes_of(clip)`: nothing where its codes can't be had, which leaves the sample without them.
template <typename CodesOf>
std::optional<EncodedSample> sample_with(const CodesOf& codes_of, const TokenizedSample& tokens,
                                         const SpecialIds& ids, const ClipFolder& folder,
                                         const std::string& where) {
  check_placeholders(tokens, ids.audio_in, ids.audio_out, where);
  EncodedSample sample;
  for (const std::int64_t id : tokens.input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    const AudioContent& clip = tokens.audios[sample.codes.size()];
    const bool heard = ids.whisper && id == ids.audio_in;
    sample.heard.push_back(heard ? heard_clip(clip, folder, where) : HeardClip{});
    // Of a clip that is only heard, codes would go nowhere.
    std::optional<Codes> codes =
        heard && !ids.encode_audio_in ? Codes{ids.num_codebooks, 0, {}} : codes_of(clip);
    if (!codes) return std::nullopt;
    sample.codes.push_back(*std::move(codes));
  }
  sample.input_ids = tokens.input_ids;
  sample.label_ids = tokens.label_ids;
  sample.where = where;
  if (ids.whisper) cut_into_chunks(sample, collate_options(ids));  // for its errors
  return sample;
}

}  // namespace

EncodedSample encode_sample(const TokenizedSample& tokens, CodeStore& store, const SpecialIds& ids,
                            const ClipFolder& folder, const std::string& where) {
  const auto codes_of = [&](const AudioContent& clip) {
    return std::optional(store.codes(clip, folder, where));
  };
  return *sample_with(codes_of, tokens, ids, folder, where);
}

std::optional<EncodedSample> find_sample(const TokenizedSample& tokens, CodeStore& store,
                                         const SpecialIds& ids, const ClipFolder& folder,
                                         const std::string& where) {
  return sample_with([&](const AudioContent& clip) { return store.find(clip, folder, where); }, tokens, ids,
                     folder, where);
}

namespace {

// UserError when a sample is longer than it may be; true when it is to be left out instead.
bool is_too_long(std::int64_t length, const DatasetOptions& options, const std::string& where) {
  if (options.max_tokens == 0 || length <= options.max_tokens) return false;
  const std::string message = where + ": " + std::to_string(length) + " tokens, more than " +
                              options.max_tokens_flag + " " + std::to_string(options.max_tokens);
  if (!options.skip_too_long) throw UserError(message + "; shorten the sample or give --on_too_long skip");
  log::warn(message + "; skipped");
  return true;
}

}  // namespace

Dataset Dataset::load(const fs::path& path, const Tokenizer& tokenizer, CodeStore& store,
                      const SpecialIds& ids, const DatasetOptions& options) {
  SampleReader reader(path, options.confine_paths, tokenizer, store, ids, options.num_workers);
  std::shared_ptr<SampleFile> file;  // made for the first sample: a mistake before it leaves nothing behind
  Dataset dataset;
  PromptStatistics statistics;
  GroupNumbers groups(options.group_by);
  const auto take = [&](const ReadLine& line) {
    if (line.error) std::rethrow_exception(line.error);
    // Clips are encoded on this thread, so that codes are those of `encode`, to the bit.
    const EncodedSample sample =
        line.sample ? *line.sample : encode_sample(line.tokens, store, ids, reader.clips(), line.where);
    const std::int64_t length = length_of(sample, ids);
    if (is_too_long(length, options, line.where)) return false;
    statistics.add(line, sample, ids);
    if (file == nullptr) {
      file = std::make_shared<SampleFile>(store.scratch_folder(), path, reader.clips());
    }
    file->append(sample, {length, line.number, reply_hashes(sample, ids), groups.of(line)});
    return true;
  };
  std::size_t done = 0;
  while (const std::optional<ReadLine> line = reader.next()) {
    try {
      if (!take(*line)) ++dataset.num_skipped_;
    } catch (const UserError& error) {
      if (!options.skip_bad_samples) throw;
      log::warn(std::string(error.what()) + "; skipped");
      ++dataset.num_skipped_;
    }
    if (options.progress) options.progress(++done);
  }
  if (file == nullptr) throw UserError(path.string() + ": no usable sample is left");
  file->finish();
  dataset.size_ = file->size();
  dataset.file_ = std::move(file);
  dataset.system_text = statistics.system_text();
  dataset.seconds_per_text_token = statistics.seconds_per_text_token();
  dataset.group_names = std::move(groups).names();
  return dataset;
}

std::string Dataset::address() const {
  HIGGS_ASSERT(part_ == Part::kAll);
  return Json{{"files", file_->addresses()},
              {"fingerprint", fingerprint()},
              {"skipped", num_skipped_},
              {"system_text", system_text},
              {"seconds_per_text_token", seconds_per_text_token}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Dataset Dataset::open(const std::string& address, const fs::path& manifest, bool confine_paths) {
  const Json facts = Json::parse(address);
  Dataset dataset;
  dataset.file_ = std::make_shared<SampleFile>(
      SampleFile::open(facts["files"], manifest, {manifest.parent_path(), confine_paths}));
  dataset.size_ = dataset.file_->size();
  dataset.num_skipped_ = facts["skipped"];
  dataset.system_text = facts["system_text"];
  dataset.seconds_per_text_token = facts["seconds_per_text_token"];
  // The same numbers may name another file on another machine.
  if (dataset.fingerprint() != facts["fingerprint"])
    throw RunError("samples of another process are not its own");
  return dataset;
}

std::size_t Dataset::row(std::size_t i) const {
  HIGGS_ASSERT(i < size_);
  if (part_ == Part::kAll) return i;
  return part_ == Part::kEveryKth ? (i + 1) * every_ - 1 : i + i / (every_ - 1);
}

Lengths Dataset::lengths() const {
  return {size_, [part = *this](std::size_t i) { return part.length(i); }};
}

std::string Dataset::fingerprint() const {
  Hasher hasher;
  for (std::size_t i = 0; i < size_; ++i) {
    const Hash128 hash = file_->hash(row(i));
    hasher.update(std::as_bytes(std::span(&hash, 1)));
  }
  return hasher.hex();
}

Dataset Dataset::split_every(std::size_t k) {
  HIGGS_ASSERT(part_ == Part::kAll && k > 1);
  Dataset taken;
  taken.file_ = file_;
  taken.every_ = every_ = k;
  taken.part_ = Part::kEveryKth;
  part_ = Part::kTheOthers;
  taken.size_ = size_ / k;
  size_ -= taken.size_;
  return taken;
}

std::size_t encode_lines(const fs::path& path, const Tokenizer& tokenizer, CodeStore& store,
                         const SpecialIds& ids, const std::function<std::size_t()>& next_line,
                         const std::function<void(const UserError&)>& on_bad_line, bool confine_paths) {
  Manifest manifest(path, confine_paths);
  const SampleTokenizer to_tokens(tokenizer);
  std::size_t num_good = 0;
  std::size_t wanted = next_line();
  for (std::size_t i = 0; manifest.next(); ++i) {
    if (i != wanted) continue;
    try {
      const std::string where = manifest.where();
      const ChatMLSample chat = parse_chatml(manifest.line(), where);
      encode_sample(to_tokens.tokenize(chat, where), store, ids, manifest.clips(), where);
      ++num_good;
    } catch (const UserError& error) {
      on_bad_line(error);
    }
    wanted = next_line();
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
