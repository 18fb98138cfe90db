#include "higgs/data/leaks.h"

#include <set>
#include <span>
#include <string>

#include "higgs/base/hash.h"

namespace higgs {
namespace {

// Hashes of a sample's clips: those it hears in the prompt, and those it is to say.
struct ClipHashes {
  std::set<std::string> heard, said;
};

ClipHashes clip_hashes(const EncodedSample& sample, const SpecialIds& ids) {
  ClipHashes hashes;
  std::size_t clip = 0;
  for (const std::int64_t id : sample.input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    const Codes& codes = sample.codes.at(clip++);
    if (codes.num_frames == 0) continue;  // heard through the audio tower alone
    const std::string hash = Hasher().update(std::as_bytes(std::span(codes.values))).hex();
    (id == ids.audio_in ? hashes.heard : hashes.said).insert(hash);
  }
  return hashes;
}

}  // namespace

std::optional<std::size_t> find_copied_reply(const Dataset& dataset, const SpecialIds& ids) {
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    const ClipHashes hashes = clip_hashes(dataset.sample(i), ids);
    for (const std::string& said : hashes.said) {
      if (hashes.heard.count(said) != 0) return i;
    }
  }
  return std::nullopt;
}

std::size_t count_shared_replies(const Dataset& held_out, const Dataset& training, const SpecialIds& ids) {
  std::set<std::string> trained;
  for (std::size_t i = 0; i < training.size(); ++i) trained.merge(clip_hashes(training.sample(i), ids).said);
  std::size_t count = 0;
  for (std::size_t i = 0; i < held_out.size(); ++i) {
    for (const std::string& said : clip_hashes(held_out.sample(i), ids).said) {
      if (trained.count(said) == 0) continue;
      ++count;
      break;
    }
  }
  return count;
}

}  // namespace higgs
