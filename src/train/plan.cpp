#include "higgs/train/plan.h"

#include <algorithm>
#include <array>

#include "higgs/kernels/nf4.h"
#include "higgs/train/head_loss.h"

namespace higgs {
namespace {

struct Widths {
  explicit Widths(const ModelConfig& config)
      : D(config.hidden_size),
        F(config.intermediate_size),
        H(config.num_heads),
        Q(config.num_heads * config.head_dim),
        KV(config.num_kv_heads * config.head_dim) {}
  std::int64_t D, F, H, Q, KV;  // Q = H * E, KV = G * E
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

// Bytes that a row keeps for the backward pass (model/fused_layer.h) in the two halves of a layer; `b` is the
// size of an activation.
std::int64_t kept_by_attention(const Widths& w, std::int64_t b, std::int64_t r) {
  // The residual, q, the attention's output, k, v; A x of four modules, log-sums, the norm.
  return b * (w.D + 2 * w.Q + 2 * w.KV) + 4 * (4 * r + w.H + 1);
}
std::int64_t kept_by_ffn(const Widths& w, std::int64_t b, std::int64_t r) {
  return b * (w.D + 2 * w.F) + 4 * (3 * r + 1);  // the residual, gate, up; A x of three modules, the norm
}

// What a row takes beside that while its FFN goes backward, where a layer takes most: the gradient coming and
// going, down_proj's input, its gradient, and down_proj's input once more as A sees it, in float32 and with
// values dropped out.
std::int64_t working_per_row(const Widths& w, std::int64_t b, const PlanOptions& options) {
  std::int64_t bytes = b * (2 * w.D + 2 * w.F) + (options.dropout ? 4 : b) * w.F;
  if (b < 4) bytes += 4 * (w.F + w.D);
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

bool names(const std::vector<std::string>& modules, const char* module) {
  return std::ranges::count(modules, module) > 0;
}

// Parameters of heads that are trained whole.
struct HeadSizes {
  std::int64_t audio = 0, text = 0;
};
HeadSizes heads_that_learn(const ModelConfig& config, const PlanOptions& options) {
  HeadSizes sizes;
  if (names(options.modules_to_save, "audio_lm_head"))
    sizes.audio = config.num_codebooks * config.codebook_rows * config.hidden_size;
  if (options.text_head && names(options.modules_to_save, "text_lm_head"))
    sizes.text = config.vocab_size * config.hidden_size;
  return sizes;
}

}  // namespace

ModelSize model_size(const ModelConfig& config, std::int64_t r, bool text_head,
                     const std::vector<std::string>& modules_to_save) {
  const Widths w(config);
  const std::int64_t codes = config.num_codebooks * config.codebook_rows;
  ModelSize size;
  size.base = (config.vocab_size * (text_head ? 2 : 1) + 2 * codes + 1) * w.D;
  for (const char* module : {"audio_lm_head", "embed_audio_tokens"})
    size.adapter += names(modules_to_save, module) ? codes * w.D : 0;
  if (text_head && names(modules_to_save, "text_lm_head")) size.adapter += config.vocab_size * w.D;
  const auto add = [&](const auto& maps) {
    for (const Map& map : maps) {
      size.linear += map.in * map.out;
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
  size.base += size.linear;
  if (config.audio_tower) size.base += tower_size(*config.audio_tower, w.D);
  return size;
}

MemoryPlan plan_memory(const ModelConfig& config, const PlanOptions& options) {
  const Widths w(config);
  const ModelSize size = model_size(config, options.r, options.text_head, options.modules_to_save);
  const auto b = static_cast<std::int64_t>(c10::elementSize(options.dtype));
  MemoryPlan plan;
  plan.weights = size.base * b;
  // Half a byte a value and four a block; the matrix at work is widened.
  const std::int64_t widened = options.quantized ? std::max(w.D * w.F, w.D * w.Q) * b : 0;
  if (options.quantized) plan.weights += size.linear / 2 + 4 * size.linear / kNf4Block - size.linear * b;
  plan.adapter = plan.gradients = 4 * size.adapter;
  plan.moments = 2 * 4 * size.adapter;
  // Only rows with a target go through the last layer's FFN.
  const std::int64_t targets = std::min(options.rows, options.text_rows + options.audio_rows);
  const std::int64_t attention = kept_by_attention(w, b, options.r), ffn = kept_by_ffn(w, b, options.r);
  const std::int64_t last = options.rows * attention + targets * ffn;
  plan.activations = options.rows * (config.num_layers - 1) * (attention + ffn) + last;
  // Logits, which become their gradient in place, a part at a time; the hidden states and their gradient of
  // all.
  const std::int64_t audio_logits = options.audio_rows * config.num_codebooks * config.codebook_rows;
  const std::int64_t text_logits = options.text_head ? options.text_rows * config.vocab_size : 0;
  const HeadSizes learning = heads_that_learn(config, options);
  // Of a head that learns, its gradient until it is added to the others; in bf16 it is kept rounded too.
  const std::int64_t heads = std::min(std::max(audio_logits, text_logits), kLogitsAtATime) * b +
                             3 * (options.audio_rows + options.text_rows) * w.D * b +
                             4 * std::max(learning.audio, learning.text);
  if (b < 4) plan.weights += b * (learning.audio + learning.text);
  // The last layer's FFN goes backward while everything is kept; the one before when what the last kept is
  // gone.
  const std::int64_t working = working_per_row(w, b, options);
  const std::int64_t layer = std::max(targets * working, options.rows * working - last) + widened;
  if (options.recompute) {
    // A layer's input is among the activations. The last layer's is gone when the one before it is at work.
    plan.activations = options.rows * config.num_layers * b * w.D;
    plan.working = std::max({heads, options.rows * (attention - 2 * b * w.D + ffn + working),
                             options.rows * (attention - b * w.D) + targets * (ffn + working)}) +
                   widened;
    return plan;
  }
  plan.working = std::max(heads, layer);  // the heads are done before the layers begin
  return plan;
}

double micro_batch_flops(const ModelConfig& config, const PlanOptions& options) {
  const Widths w(config);
  double frozen = 0.0, adapted = 0.0;  // weights that a row passes in a layer
  const auto pass = [&](const auto& maps) {
    for (const Map& map : maps) {
      frozen += static_cast<double>(map.in * map.out);
      adapted += static_cast<double>(options.r * (map.in + map.out));
    }
  };
  pass(attention_maps(w));
  pass(ffn_maps(w));  // a row passes one of the two
  const double attention = 7.0 * static_cast<double>(options.sample_rows * w.Q);
  const double again = options.recompute ? 2.0 * (frozen + adapted) + 2.0 * attention / 7.0 : 0.0;
  const double layer = 4.0 * frozen + 6.0 * adapted + attention + again;
  const auto rows = static_cast<double>(options.rows);
  const HeadSizes learning = heads_that_learn(config, options);
  const auto head = [&](std::int64_t head_rows, std::int64_t outputs, std::int64_t learns) {
    return (learns > 0 ? 6.0 : 4.0) * static_cast<double>(w.D) * static_cast<double>(head_rows * outputs);
  };
  const double heads = head(options.audio_rows, config.num_codebooks * config.codebook_rows, learning.audio) +
                       head(options.text_head ? options.text_rows : 0, config.vocab_size, learning.text);
  return rows * static_cast<double>(config.num_layers) * layer + heads;
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
