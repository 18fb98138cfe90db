// A manifest as the trainer uses it: every line parsed, tokenised and encoded before the first step, so that
// a mistake in the last line is known at the start, and then put aside on disk: however many samples there
// are, they take no memory (sample_file.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "higgs/base/error.h"
#include "higgs/data/code_store.h"
#include "higgs/data/collate.h"
#include "higgs/data/groups.h"
#include "higgs/data/lengths.h"
#include "higgs/data/pack.h"
#include "higgs/data/sample_file.h"

namespace higgs {

// Ids the data path needs, from the model's configuration and the tokenizer.
struct SpecialIds {
  std::int64_t audio_in = -1, audio_out = -1, pad = 0, stream_bos = 0, stream_eos = 0;
  std::int64_t num_codebooks = 0;
  std::int64_t codebook_size = 0;         // codes proper, without BOS and EOS
  bool encode_audio_in = true;            // the model is given the codes of <|AUDIO|> clips
  std::optional<WhisperOptions> whisper;  // it hears them through its audio tower
};

struct DatasetOptions {
  bool skip_bad_samples = false;                 // else the first bad line stops everything
  std::int64_t max_tokens = 0;                   // longest sample in expanded positions; 0: no limit
  const char* max_tokens_flag = "--max_tokens";  // where the limit comes from
  bool skip_too_long = false;                    // else a longer sample is an error
  bool confine_paths = false;                    // clips outside the manifest's folder are refused
  GroupBy group_by = GroupBy::kNone;             // what Dataset::group() tells apart
  int num_workers = 0;  // threads that read lines whose clips are encoded already; 0: none but the caller's
  std::function<void(std::size_t done)> progress;  // called after every line
};

class Dataset {
 public:
  // UserError with `manifest:line: reason`. Samples are put aside in the store's folder.
  static Dataset load(const fs::path& manifest, const Tokenizer& tokenizer, CodeStore& store,
                      const SpecialIds& ids, const DatasetOptions& options);

  // A data set that another process of this machine has loaded from the same manifest: its address().
  // RunError when it can't be reached.
  static Dataset open(const std::string& address, const fs::path& manifest, bool confine_paths);
  std::string address() const;

  std::size_t size() const { return size_; }
  // Read from disk; any number of threads at once.
  EncodedSample sample(std::size_t i) const { return file_->read(row(i)); }
  // "manifest.jsonl:12", for messages.
  std::string where(std::size_t i) const { return file_->where(row(i)); }
  // Positions of a sample after its placeholders are expanded.
  std::int64_t length(std::size_t i) const { return file_->length(row(i)); }
  Lengths lengths() const;
  // Hashes of the clips that a sample is to say (reply_hashes()).
  std::span<const Hash128> replies(std::size_t i) const { return file_->replies(row(i)); }
  // Number of its speaker or language, as DatasetOptions::group_by says: 0 where its line names none.
  std::uint32_t group(std::size_t i) const { return file_->group(row(i)); }
  std::size_t num_skipped() const { return num_skipped_; }
  // Hash of every sample's ids and codes: tells one training set from another.
  std::string fingerprint() const;

  // Takes every `k`-th sample (the last of each run of k) out into a data set of its own. Not twice.
  Dataset split_every(std::size_t k);

  // What the samples have in common, for generation: the system turn's text where all have the same (""
  // else), and seconds the assistant speaks per token of text in the user turns.
  std::string system_text;
  double seconds_per_text_token = 0.0;
  // Of group()'s numbers; [0] stands for none. Empty in a data set that another process has loaded.
  std::vector<std::string> group_names;

 private:
  enum class Part { kAll, kEveryKth, kTheOthers };
  std::size_t row(std::size_t i) const;  // of the file

  std::shared_ptr<const SampleFile> file_;
  Part part_ = Part::kAll;
  std::size_t every_ = 0;  // k
  std::size_t size_ = 0;
  std::size_t num_skipped_ = 0;
};

// A tokenised sample with its clips encoded, and found for the audio tower where `ids` say so. UserError.
EncodedSample encode_sample(const TokenizedSample& tokens, CodeStore& store, const SpecialIds& ids,
                            const ClipFolder& folder, const std::string& where);

// The same where no clip has to be encoded; any number of threads at once.
std::optional<EncodedSample> find_sample(const TokenizedSample& tokens, CodeStore& store,
                                         const SpecialIds& ids, const ClipFolder& folder,
                                         const std::string& where);

// Encodes the clips of the lines that `next_line` gives, ascending, until it gives one behind the last: what
// one rank does so that all find everything in the cache. Bad lines go to `on_bad_line`. Returns how many
// lines were good.
std::size_t encode_lines(const fs::path& manifest, const Tokenizer& tokenizer, CodeStore& store,
                         const SpecialIds& ids, const std::function<std::size_t()>& next_line,
                         const std::function<void(const UserError&)>& on_bad_line,
                         bool confine_paths = false);

CollateOptions collate_options(const SpecialIds& ids);
// Collates and packs; `places` of each sample in its optimizer step, as in PackOptions.
PackedBatch make_batch(std::span<const EncodedSample* const> samples, const SpecialIds& ids,
                       std::span<const std::int64_t> places = {});

}  // namespace higgs
