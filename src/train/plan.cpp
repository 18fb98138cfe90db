#include "higgs/train/plan.h"

#include <algorithm>
#include <array>

namespace higgs {
namespace {

struct Widths {
  explicit Widths(const ModelConfig& config)
      : D(config.hidden_size),
        F(config.intermediate_size),
        Q(config.num_heads * config.head_dim),
        KV(config.num_kv_heads * config.head_dim) {}
  std::int64_t D, F, Q, KV;  // Q = H * E, KV = G * E
};

struct Map {
  std::int64_t in, out;
};
std::array<Map, 4> attention_maps(const Widths& w) {
  return {{{w.D, w.Q}, {w.D, w.KV}, {w.D, w.KV}, {w.Q, w.D}}};
}
std::array<Map, 3> ffn_maps(const Widths& w) {
  return {{{w.D, w.F}, {w.D, w.F}, {w.F, w.D}}};
}

// Bytes that one row of one layer keeps for the backward pass; `b` is the size of an activation. What stands
// in the comment is what autograd saves there (model/layers.cpp, model/lora_linear.cpp).
std::int64_t kept_per_row(const Widths& w, std::int64_t b, const PlanOptions& options) {
  // Without dropout the input of A is the float32 activation itself, which its neighbour keeps already.
  const bool own_copies = options.dropout || options.dtype != at::kFloat;
  std::int64_t bytes = 2 * 4 * w.D + b * w.D;  // both norms: x in float32; the first one's weight, row by row
  bytes += b * (2 * w.Q + 2 * w.KV);           // attention: q, k, v, output
  bytes += 3 * b * w.F;                        // gate, silu(gate), up
  bytes += 7 * 4 * options.r;                  // A x of every module
  if (own_copies) bytes += 4 * (3 * w.D + w.Q + 2 * w.D + w.F);  // each module's input to A
  return bytes;
}

// The Whisper encoder and its projector (model/audio_tower.cpp).
std::int64_t tower_size(const AudioTowerConfig& tower, std::int64_t hidden_size) {
  const std::int64_t W = tower.width;
  const std::int64_t stem = 3 * W * tower.num_mels + W + 3 * W * W + W + tower.max_positions * W;
  const std::int64_t attention = 4 * W * W + 3 * W;  // keys have no bias
  const std::int64_t ffn = 2 * W * tower.ffn_width + tower.ffn_width + W;
  return stem + tower.num_layers * (attention + ffn + 4 * W) + 2 * W + W * hidden_size + hidden_size;
}

}  // namespace

ModelSize model_size(const ModelConfig& config, std::int64_t r, bool text_head) {
  const Widths w(config);
  const std::int64_t codes = config.num_codebooks * config.codebook_rows;
  ModelSize size;
  size.base = (config.vocab_size * (text_head ? 2 : 1) + 2 * codes + 1) * w.D;
  const auto add = [&](const auto& maps) {
    for (const Map& map : maps) {
      size.base += map.in * map.out;
      size.adapter += r * (map.in + map.out);
    }
  };
  for (const LayerForm form : config.layer_forms) {
    add(attention_maps(w));
    add(ffn_maps(w));
    size.base += 2 * w.D;
    if (form != LayerForm::kDualFfn) continue;
    add(ffn_maps(w));  // audio
    size.base += 2 * w.D;
  }
  if (config.audio_tower) size.base += tower_size(*config.audio_tower, w.D);
  return size;
}

MemoryPlan plan_memory(const ModelConfig& config, const PlanOptions& options) {
  const Widths w(config);
  const ModelSize size = model_size(config, options.r, options.text_head);
  const auto b = static_cast<std::int64_t>(c10::elementSize(options.dtype));
  MemoryPlan plan;
  plan.weights = size.base * b;
  plan.adapter = plan.gradients = 4 * size.adapter;
  plan.moments = 2 * 4 * size.adapter;
  plan.activations = options.rows * config.num_layers * kept_per_row(w, b, options);
  // Of each logit: the float32 log-probability, its gradient, and the gradient of the logit made from both.
  const std::int64_t each = 3 * 4;
  std::int64_t heads = options.audio_rows * config.num_codebooks * config.codebook_rows * each;
  if (options.text_head) heads += options.text_rows * config.vocab_size * each;
  // The FFN's backward pass: gradients of gate, up, their product, and of A's inputs.
  const std::int64_t layer = options.rows * (3 * b * w.F + 4 * w.F + 4 * 4 * w.D);
  plan.working = std::max(heads, layer);  // the heads are done before the layers begin
  return plan;
}

std::int64_t largest_batch(const ModelConfig& config, PlanOptions options, std::int64_t bytes) {
  const PlanOptions asked = options;
  const auto fits = [&](std::int64_t rows) {
    options.rows = rows;
    options.text_rows = asked.text_rows * rows / std::max<std::int64_t>(1, asked.rows);
    options.audio_rows = asked.audio_rows * rows / std::max<std::int64_t>(1, asked.rows);
    return plan_memory(config, options).total() <= bytes;
  };
  if (!fits(1)) return 0;
  std::int64_t low = 1, high = 2;
  while (fits(high)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace higgs
