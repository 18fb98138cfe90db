#include "higgs/model/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

struct Candidate {
  std::int64_t id;
  double weight;  // probability, not normalised
};

// exp(logit / temperature - max), largest first, cut to top_k.
std::vector<Candidate> ranked(std::span<const float> logits, double temperature, std::int64_t top_k) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::size_t keep = order.size();
  if (top_k > 0) keep = std::min(keep, static_cast<std::size_t>(top_k));
  const auto larger = [&](std::int64_t a, std::int64_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(), larger);
  order.resize(keep);
  std::vector<Candidate> candidates;
  const double highest = logits[static_cast<std::size_t>(order[0])];
  for (const std::int64_t id : order) {
    candidates.push_back({id, std::exp((logits[static_cast<std::size_t>(id)] - highest) / temperature)});
  }
  return candidates;
}

double total_weight(const std::vector<Candidate>& candidates) {
  double total = 0.0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  return total;
}

// Keeps candidates until their share passes top_p.
void cut_to_nucleus(std::vector<Candidate>& candidates, double top_p) {
  const double total = total_weight(candidates);
  double reached = 0.0;
  std::size_t keep = 0;
  while (keep < candidates.size() && (keep == 0 || reached < top_p * total))
    reached += candidates[keep++].weight;
  candidates.resize(keep);
}

std::int64_t hits_in_window(const std::vector<std::vector<std::int64_t>>& history, std::size_t codebook,
                            std::int64_t id, std::int64_t window, const RasRule& rule) {
  if (!rule.count_stream_ids && (id == rule.stream_bos || id == rule.stream_eos)) return 0;
  const std::size_t count = std::min(history.size(), static_cast<std::size_t>(window));
  std::int64_t hits = 0;
  for (std::size_t i = history.size() - count; i < history.size(); ++i)
    hits += history[i][codebook] == id ? 1 : 0;
  return hits;
}

}  // namespace

double SamplingStream::uniform() {
  const Philox4 words = philox4x32(
      {{static_cast<std::uint32_t>(count_), static_cast<std::uint32_t>(count_ >> 32), 0x5AE1u, 0u}}, key_);
  ++count_;
  const std::uint64_t bits = static_cast<std::uint64_t>(words.word[0]) << 32 | words.word[1];
  return static_cast<double>(bits >> 11) / 9007199254740992.0;
}

std::int64_t argmax(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

std::int64_t draw(std::span<const float> logits, double temperature, std::int64_t top_k, double top_p,
                  SamplingStream& stream) {
  HIGGS_ASSERT(!logits.empty() && temperature > 0.0);
  std::vector<Candidate> candidates = ranked(logits, temperature, top_k);
  if (top_p < 1.0) cut_to_nucleus(candidates, top_p);
  double target = stream.uniform() * total_weight(candidates);
  for (const Candidate& candidate : candidates) {
    target -= candidate.weight;
    if (target < 0.0) return candidate.id;
  }
  return candidates.back().id;
}

std::vector<std::int64_t> sample_frame(std::span<const float> logits, std::int64_t num_codebooks,
                                       const std::vector<std::vector<std::int64_t>>& history,
                                       const SamplingOptions& options, const RasRule& rule,
                                       SamplingStream& stream) {
  const std::size_t K = logits.size() / static_cast<std::size_t>(num_codebooks);
  std::vector<std::int64_t> frame;
  for (std::size_t k = 0; k < static_cast<std::size_t>(num_codebooks); ++k) {
    const auto row = logits.subspan(k * K, K);
    if (options.greedy) {
      frame.push_back(argmax(row));
      continue;
    }
    std::int64_t id = draw(row, options.temperature, options.top_k, options.top_p, stream);
    if (options.ras_window > 0 &&
        hits_in_window(history, k, id, options.ras_window, rule) >= options.ras_repeats) {
      id = draw(row, 1.0, 0, 1.0, stream);
    }
    frame.push_back(id);
  }
  return frame;
}

}  // namespace higgs
