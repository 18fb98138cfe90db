#include "higgs/data/sample_file.h"

#include <sstream>
#include <utility>
#include <vector>

#include "higgs/base/error.h"
#include "higgs/data/sample_bytes.h"

namespace higgs {
namespace {

Hash128 hash_of(const EncodedSample& sample) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(sample.input_ids)));
  if (sample.label_ids) hasher.update(std::as_bytes(std::span(*sample.label_ids)));
  for (const Codes& codes : sample.codes) hasher.update(std::as_bytes(std::span(codes.values)));
  for (const HeardClip& clip : sample.heard) hasher.update(std::string_view(clip.hash));
  hasher.update(static_cast<std::uint64_t>(sample.codes.size()));
  return hasher.digest();
}

// The `index`-th of three, between spaces.
std::string one_of(const std::string& addresses, int index) {
  std::istringstream words(addresses);
  std::string word;
  for (int i = 0; i <= index; ++i) words >> word;
  HIGGS_ASSERT(words);
  return word;
}

}  // namespace

SampleFile::SampleFile(const fs::path& folder, fs::path manifest, ClipFolder clips)
    : manifest_(std::move(manifest)),
      clips_(std::move(clips)),
      samples_(folder),
      entries_(folder),
      replies_(folder) {}

SampleFile::SampleFile(fs::path manifest, ClipFolder clips, ScratchFile samples, ScratchFile entries,
                       ScratchFile replies)
    : manifest_(std::move(manifest)),
      clips_(std::move(clips)),
      samples_(std::move(samples)),
      entries_(std::move(entries)),
      replies_(std::move(replies)) {}

SampleFile SampleFile::open(const std::string& addresses, fs::path manifest, ClipFolder clips) {
  SampleFile file(std::move(manifest), std::move(clips), ScratchFile::open(one_of(addresses, 0)),
                  ScratchFile::open(one_of(addresses, 1)), ScratchFile::open(one_of(addresses, 2)));
  file.size_ = file.entries_.size() / sizeof(Entry);
  file.map();
  return file;
}

void SampleFile::append(const EncodedSample& sample, const SampleFacts& facts) {
  const std::string bytes = sample_bytes(sample);
  const Entry entry{samples_.size(),
                    bytes.size(),
                    facts.line,
                    replies_.size() / sizeof(Hash128),
                    static_cast<std::uint32_t>(facts.replies.size()),
                    facts.group,
                    facts.length,
                    hash_of(sample)};
  samples_.append(std::as_bytes(std::span(bytes)));
  entries_.append(std::as_bytes(std::span(&entry, 1)));
  replies_.append(std::as_bytes(std::span(facts.replies)));
  ++size_;
}

void SampleFile::finish() {
  samples_.finish();
  entries_.finish();
  replies_.finish();
  map();
}

void SampleFile::map() {
  entries_.map();
  replies_.map();
}

const SampleFile::Entry& SampleFile::entry(std::size_t i) const {
  HIGGS_ASSERT(i < size_ && entries_.mapped().size() == size_ * sizeof(Entry));
  return reinterpret_cast<const Entry*>(entries_.mapped().data())[i];
}

EncodedSample SampleFile::read(std::size_t i) const {
  std::vector<std::byte> bytes(entry(i).num_bytes);
  samples_.read(entry(i).offset, bytes);
  return sample_from_bytes(bytes, clips_, where(i));
}

std::span<const Hash128> SampleFile::replies(std::size_t i) const {
  const Entry& one = entry(i);
  if (one.num_replies == 0) return {};
  return std::span(reinterpret_cast<const Hash128*>(replies_.mapped().data()) + one.first_reply,
                   one.num_replies);
}

std::string SampleFile::addresses() const {
  return samples_.address() + " " + entries_.address() + " " + replies_.address();
}

}  // namespace higgs
