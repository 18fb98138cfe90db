// The samples of a manifest, line after line, read ahead on threads where their clips are encoded already.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "higgs/data/dataset.h"
#include "higgs/data/manifest.h"
#include "higgs/data/prefetch.h"

namespace higgs {

struct ReadLine {
  std::string where;
  std::uint64_t number = 0;             // of the line
  std::exception_ptr error;             // the UserError that reading it ended with; the rest is then empty
  std::string system;                   // text of the system turn
  std::size_t num_text_tokens = 0;      // of the user turns
  std::string speaker, language;        // as the line names them; ""
  TokenizedSample tokens;               // where the sample has clips to be encoded,
  std::optional<EncodedSample> sample;  // else this
};

class SampleReader {
 public:
  // `tokenizer`, `store` and `ids` must outlive it. `num_workers` as PrefetchOptions'.
  SampleReader(const fs::path& manifest, bool confine_paths, const Tokenizer& tokenizer, CodeStore& store,
               const SpecialIds& ids, int num_workers);

  // Nothing after the last line. UserError when the manifest can't be read on.
  std::optional<ReadLine> next();
  ClipFolder clips() const { return clips_; }

 private:
  struct Job {
    std::string line, where;  // both empty after the last
    std::uint64_t number = 0;
  };
  std::optional<Job> next_job();
  ReadLine read(const Job& job) const;

  Manifest manifest_;
  ClipFolder clips_;
  const Tokenizer& tokenizer_;
  SampleTokenizer to_tokens_;
  CodeStore& store_;
  const SpecialIds& ids_;
  bool at_end_ = false;
  Prefetcher<Job, ReadLine> lines_;  // last: its threads use what stands above
};

}  // namespace higgs
