// Picking the next frame from its logits: temperature, top-k, top-p, and repetition-aware sampling (RAS).
// C codebooks, K ids per codebook.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace higgs {

struct SamplingOptions {
  bool greedy = false;  // the most likely id; no RAS
  double temperature = 1.0;
  std::int64_t top_k = 50;      // 0: off
  double top_p = 0.95;          // 1: off
  std::int64_t ras_window = 7;  // frames looked back on; 0: off
  std::int64_t ras_repeats =
      2;  // so many hits of the drawn id in the window: drawn again from the raw logits
  std::uint64_t seed = 0;
};

// Random numbers of one clip: word i of a Philox stream.
class SamplingStream {
 public:
  explicit SamplingStream(std::uint64_t key) : key_(key) {}
  double uniform();  // in [0, 1)

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
};

// Room that draws use again and again.
struct DrawScratch {
  std::vector<std::int64_t> order;
  std::vector<double> weights;
};

// Index of the largest value, the first among equals.
std::int64_t argmax(std::span<const float> logits);

// Draws from softmax(logits / temperature) cut to the top_k largest, then to the smallest set whose
// probability exceeds top_p (at least one), as transformers' warpers in this order.
std::int64_t draw(std::span<const float> logits, double temperature, std::int64_t top_k, double top_p,
                  SamplingStream& stream, DrawScratch& scratch);

// What RAS counts in the window.
struct RasRule {
  bool count_stream_ids = true;  // BOS and EOS too (boson_multimodal); transformers leaves them out
  std::int64_t stream_bos = 0, stream_eos = 0;
};

// One id per codebook, into `frame` [C], from logits [C, K]; `history` holds earlier frames, newest last: [n,
// C].
void sample_frame(std::span<const float> logits, std::span<const std::int64_t> history,
                  const SamplingOptions& options, const RasRule& rule, SamplingStream& stream,
                  DrawScratch& scratch, std::span<std::int64_t> frame);

}  // namespace higgs
