#include "higgs/data/leaks.h"

#include <algorithm>
#include <set>
#include <span>
#include <unordered_map>

#include "higgs/base/hash.h"

namespace higgs {
namespace {

// Of the clips at the placeholders `id`.
std::set<Hash128> clip_hashes(const EncodedSample& sample, const SpecialIds& ids, std::int64_t wanted_id) {
  std::set<Hash128> hashes;
  std::size_t clip = 0;
  for (const std::int64_t id : sample.input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    const Codes& codes = sample.codes.at(clip++);
    if (codes.num_frames == 0 || id != wanted_id) continue;  // no frames: heard through the audio tower alone
    hashes.insert(Hasher().update(std::as_bytes(std::span(codes.values))).digest());
  }
  return hashes;
}

struct HashOfHash {
  std::size_t operator()(const Hash128& hash) const { return hash.low; }
};

}  // namespace

std::vector<Hash128> reply_hashes(const EncodedSample& sample, const SpecialIds& ids) {
  const std::set<Hash128> said = clip_hashes(sample, ids, ids.audio_out);
  return {said.begin(), said.end()};
}

std::optional<std::size_t> find_copied_reply(const Dataset& dataset, const SpecialIds& ids) {
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    const std::set<Hash128> heard = clip_hashes(dataset.sample(i), ids, ids.audio_in);
    for (const Hash128& said : dataset.replies(i)) {
      if (heard.count(said) != 0) return i;
    }
  }
  return std::nullopt;
}

// Keeps what is held out in memory: that is the smaller part.
std::size_t count_shared_replies(const Dataset& held_out, const Dataset& training) {
  std::unordered_multimap<Hash128, std::size_t, HashOfHash> samples;
  for (std::size_t i = 0; i < held_out.size(); ++i) {
    for (const Hash128& said : held_out.replies(i)) samples.emplace(said, i);
  }
  std::vector<bool> is_shared(held_out.size(), false);
  for (std::size_t i = 0; i < training.size(); ++i) {
    for (const Hash128& said : training.replies(i)) {
      const auto [begin, end] = samples.equal_range(said);
      std::for_each(begin, end, [&](const auto& entry) { is_shared[entry.second] = true; });
    }
  }
  return static_cast<std::size_t>(std::count(is_shared.begin(), is_shared.end(), true));
}

}  // namespace higgs
