// The decoder's modules. N rows of a packed batch, D model width, H heads, G key/value heads, E head width.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <span>
#include <vector>

#include "higgs/kernels/layer_ops.h"
#include "higgs/model/config.h"
#include "higgs/model/kv_cache.h"
#include "higgs/model/lora_linear.h"
#include "higgs/model/rope.h"
#include "higgs/model/weights.h"

namespace higgs {

// Rows that attend to each other within their segments: all of a batch, or its text rows alone. Positions are
// the rows' own, whatever stands between them.
struct Sequence {
  RopeTable rope;
  std::vector<std::int64_t> cu_seqlens;  // [B + 1]
  at::Tensor cu_seqlens_int32;           // the same where the model is
  RowIndex index;                        // for dropout
};

// The rows whose result a layer gives, and where among them stand those that use the text FFN and the audio
// FFN.
struct WantedRows {
  Rows rows;                                // int64 [L], ascending; undefined: all N
  at::Tensor text, audio;                   // int64, together [L]
  RowIndex index, text_index, audio_index;  // for dropout: of all of them, and of either kind
};

// What every layer of one forward pass shares.
struct ForwardContext {
  Sequence all, text;      // `text` is filled only where a layer needs it (LayerForm::kFastForward)
  at::Tensor is_audio;     // bool [N, 1]
  WantedRows rows;         // all
  WantedRows last;         // of the last layer
  at::Tensor merge_rows;   // int64 [N]: where row i stands in [text rows; audio rows]
  bool fused = false;      // by model/fused_layer.h where a layer can
  bool recompute = false;  // layers keep only their input for the backward pass
  double dropout_p = 0.0;
  std::uint64_t dropout_key = 0;

  DropoutContext dropout(const RowIndex& index) const { return {dropout_p, dropout_key, &index}; }
};

// y = weight * x / sqrt(mean(x^2) + eps), the quotient in float32 and rounded before the product.
class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(at::Tensor weight, double eps);
  at::Tensor forward(const at::Tensor& x) const { return weight_ * normalise(x); }
  at::Tensor normalise(const at::Tensor& x) const;
  const at::Tensor& weight() const { return weight_; }
  double eps() const { return eps_; }

 private:
  at::Tensor weight_;
  double eps_;
};

// Causal self-attention with grouped key/value heads, shared by text and audio rows.
class Attention : public torch::nn::Module {
 public:
  Attention(const ModelConfig& config, const std::string& path, WeightSource& weights);
  // x: [N, D]. Each segment of the sequence attends to itself; with caches, one for each segment, its rows
  // follow the cached positions and are appended to them.
  at::Tensor forward(const at::Tensor& x, const Sequence& sequence, const DropoutContext& dropout,
                     std::span<KvCache> caches);
  // x + forward(norm(x)), of `wanted` rows, by model/fused_layer.h (in layers_fused.cpp).
  at::Tensor forward_fused(const at::Tensor& x, const NormWeights& norm, const ForwardContext& context,
                           const WantedRows& wanted, std::span<KvCache> caches) const;

 private:
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) const;
  at::Tensor attend_behind(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           KvCache* cache) const;
  std::int64_t num_heads_, num_kv_heads_, head_dim_;
  std::shared_ptr<LoraLinear> q_proj_, k_proj_, v_proj_, o_proj_;
};

// down(silu(gate(x)) * up(x))
class Mlp : public torch::nn::Module {
 public:
  Mlp(const ModelConfig& config, const std::string& path, WeightSource& weights);
  at::Tensor forward(const at::Tensor& x, const DropoutContext& dropout);
  // Its linear maps: gate, up, down.
  const LoraLinear* gate() const { return gate_proj_.get(); }
  const LoraLinear* up() const { return up_proj_.get(); }
  const LoraLinear* down() const { return down_proj_.get(); }

 private:
  std::shared_ptr<LoraLinear> gate_proj_, up_proj_, down_proj_;
};

// Attention and FFN. As LayerForm says, audio rows have norms and an FFN of their own beside the shared
// attention, or are passed over (then a cache holds text rows only), or go the way of text.
class DecoderLayer : public torch::nn::Module {
 public:
  DecoderLayer(const ModelConfig& config, LayerForm form, const std::string& path, WeightSource& weights);
  at::Tensor forward(const at::Tensor& x, const ForwardContext& context, std::span<KvCache> caches);
  // The same of `wanted` rows, by model/fused_layer.h (in layers_fused.cpp).
  at::Tensor forward_fused(const at::Tensor& x, const ForwardContext& context, const WantedRows& wanted,
                           std::span<KvCache> caches) const;
  // DoRA and fast-forward layers have no fused form.
  bool can_fuse() const;
  std::vector<at::Tensor> parameters_of_adapters() const;

 private:
  at::Tensor forward_dual(const at::Tensor& x, const ForwardContext& context, std::span<KvCache> caches);
  at::Tensor forward_as_text(const at::Tensor& x, const ForwardContext& context, const Sequence& sequence,
                             std::span<KvCache> caches);

  LayerForm form_;
  std::shared_ptr<RmsNorm> input_layernorm_, post_attention_layernorm_;
  std::shared_ptr<RmsNorm> audio_input_layernorm_, audio_post_attention_layernorm_;  // null unless kDualFfn
  std::shared_ptr<Attention> self_attn_;
  std::shared_ptr<Mlp> mlp_, audio_mlp_;    // audio_mlp_: null unless kDualFfn
  std::vector<const LoraLinear*> linears_;  // of all these
};

// All layers and the final norm.
class Decoder : public torch::nn::Module {
 public:
  Decoder(const ModelConfig& config, WeightSource& weights);
  // x: [N, D] -> [N, D], or the rows of context.last. `caches`: layer by layer,
  // one for each sample, or null; `layer_outputs`:
  // filled with each layer's, or null.
  at::Tensor forward(at::Tensor x, const ForwardContext& context, std::vector<KvCache>* caches,
                     std::vector<at::Tensor>* layer_outputs);
  // Every linear map, in the model's order.
  std::vector<std::shared_ptr<LoraLinear>> linears() const;

 private:
  std::vector<std::shared_ptr<DecoderLayer>> layers_;
  std::shared_ptr<RmsNorm> norm_;
};

}  // namespace higgs
