#include "higgs/model/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

// Ids by their logits, largest first, cut to top_k, with their weights: exp((logit - max) / temperature).
void rank(std::span<const float> logits, double temperature, std::int64_t top_k, DrawScratch& scratch) {
  std::vector<std::int64_t>& order = scratch.order;
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::size_t keep = order.size();
  if (top_k > 0) keep = std::min(keep, static_cast<std::size_t>(top_k));
  const auto larger = [&](std::int64_t a, std::int64_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(), larger);
  order.resize(keep);
  scratch.weights.clear();
  const double highest = logits[static_cast<std::size_t>(order[0])];
  for (const std::int64_t id : order) {
    scratch.weights.push_back(std::exp((logits[static_cast<std::size_t>(id)] - highest) / temperature));
  }
}

double total_weight(const DrawScratch& scratch) {
  double total = 0.0;
  for (const double weight : scratch.weights) total += weight;
  return total;
}

// Keeps ids until their share passes top_p.
void cut_to_nucleus(DrawScratch& scratch, double top_p) {
  const double total = total_weight(scratch);
  double reached = 0.0;
  std::size_t keep = 0;
  while (keep < scratch.weights.size() && (keep == 0 || reached < top_p * total))
    reached += scratch.weights[keep++];
  scratch.weights.resize(keep);
}

// history: [n, C]
std::int64_t hits_in_window(std::span<const std::int64_t> history, std::size_t num_codebooks,
                            std::size_t codebook, std::int64_t id, std::int64_t window, const RasRule& rule) {
  if (!rule.count_stream_ids && (id == rule.stream_bos || id == rule.stream_eos)) return 0;
  const std::size_t n = history.size() / num_codebooks;
  std::int64_t hits = 0;
  for (std::size_t i = n - std::min(n, static_cast<std::size_t>(window)); i < n; ++i)
    hits += history[i * num_codebooks + codebook] == id ? 1 : 0;
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
                  SamplingStream& stream, DrawScratch& scratch) {
  HIGGS_ASSERT(!logits.empty() && temperature > 0.0);
  rank(logits, temperature, top_k, scratch);
  if (top_p < 1.0) cut_to_nucleus(scratch, top_p);
  double target = stream.uniform() * total_weight(scratch);
  for (std::size_t i = 0; i < scratch.weights.size(); ++i) {
    target -= scratch.weights[i];
    if (target < 0.0) return scratch.order[i];
  }
  return scratch.order[scratch.weights.size() - 1];
}

void sample_frame(std::span<const float> logits, std::span<const std::int64_t> history,
                  const SamplingOptions& options, const RasRule& rule, SamplingStream& stream,
                  DrawScratch& scratch, std::span<std::int64_t> frame) {
  const std::size_t C = frame.size(), K = logits.size() / C;
  for (std::size_t k = 0; k < C; ++k) {
    const auto row = logits.subspan(k * K, K);
    if (options.greedy) {
      frame[k] = argmax(row);
      continue;
    }
    frame[k] = draw(row, options.temperature, options.top_k, options.top_p, stream, scratch);
    if (options.ras_window > 0 &&
        hits_in_window(history, C, k, frame[k], options.ras_window, rule) >= options.ras_repeats) {
      frame[k] = draw(row, 1.0, 0, 1.0, stream, scratch);
    }
  }
}

}  // namespace higgs
