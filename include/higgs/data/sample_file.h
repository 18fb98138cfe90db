// Encoded samples put aside, so that a data set takes no memory of its own however many samples it has: the
// samples one after the other in one scratch file, what is asked of all of them (length, line, hashes) in two
// more that are mapped. Torch-free.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "higgs/base/hash.h"
#include "higgs/base/scratch_file.h"
#include "higgs/data/clip_folder.h"
#include "higgs/data/collate.h"

namespace higgs {

// What belongs to a sample beside what the collator wants.
struct SampleFacts {
  std::int64_t length = 0;       // positions after its placeholders are expanded
  std::uint64_t line = 0;        // of the manifest, from 1
  std::vector<Hash128> replies;  // of the clips it is to say
  std::uint32_t group = 0;       // its speaker's or language's number
};

class SampleFile {
 public:
  // `folder`: as ScratchFile. `manifest` and `clips` belong to all samples.
  SampleFile(const fs::path& folder, fs::path manifest, ClipFolder clips);
  // Another process's, finished: its addresses(). RunError when it can't be opened.
  static SampleFile open(const std::string& addresses, fs::path manifest, ClipFolder clips);

  void append(const EncodedSample& sample, const SampleFacts& facts);
  // To be called once; samples can be read from then on.
  void finish();

  std::size_t size() const { return size_; }
  // Any number of threads at once. RunError when the disk fails.
  EncodedSample read(std::size_t i) const;
  std::int64_t length(std::size_t i) const { return entry(i).length; }
  std::string where(std::size_t i) const { return manifest_.string() + ":" + std::to_string(entry(i).line); }
  // Of ids, labels, codes and heard clips.
  Hash128 hash(std::size_t i) const { return entry(i).hash; }
  std::span<const Hash128> replies(std::size_t i) const;
  std::uint32_t group(std::size_t i) const { return entry(i).group; }

  // Names the finished file to other processes of this user on this machine.
  std::string addresses() const;
  bool in_memory() const { return samples_.in_memory(); }

 private:
  struct Entry {
    std::uint64_t offset, num_bytes, line, first_reply;
    std::uint32_t num_replies, group;
    std::int64_t length;
    Hash128 hash;
  };
  SampleFile(fs::path manifest, ClipFolder clips, ScratchFile samples, ScratchFile entries,
             ScratchFile replies);
  const Entry& entry(std::size_t i) const;
  void map();

  fs::path manifest_;
  ClipFolder clips_;
  ScratchFile samples_, entries_, replies_;
  std::size_t size_ = 0;
};

}  // namespace higgs
