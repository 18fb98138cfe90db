#include "higgs/model/layers.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/where.h>

#include "higgs/base/error.h"
#include "recompute.h"

namespace higgs {

RmsNorm::RmsNorm(at::Tensor weight, double eps)
    : weight_(register_buffer("weight", std::move(weight))), eps_(eps) {}

at::Tensor RmsNorm::normalise(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor mean_square = wide.square().mean(-1, /*keepdim=*/true);
  return (wide * at::rsqrt(mean_square + eps_)).to(x.scalar_type());
}

namespace {

std::shared_ptr<LoraLinear> take_linear(WeightSource& weights, const std::string& path, std::int64_t out,
                                        std::int64_t in) {
  at::Tensor weight = weights.take(path + ".weight", {out, in});
  return std::make_shared<LoraLinear>(
      path, weights.quantize() ? FrozenWeight::quantized(weight) : FrozenWeight(std::move(weight)));
}

}  // namespace

Attention::Attention(const ModelConfig& config, const std::string& path, WeightSource& weights)
    : num_heads_(config.num_heads), num_kv_heads_(config.num_kv_heads), head_dim_(config.head_dim) {
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    return register_module(name, take_linear(weights, path + "." + name, out, in));
  };
  const std::int64_t D = config.hidden_size;
  q_proj_ = linear("q_proj", D, num_heads_ * head_dim_);
  k_proj_ = linear("k_proj", D, num_kv_heads_ * head_dim_);
  v_proj_ = linear("v_proj", D, num_kv_heads_ * head_dim_);
  o_proj_ = linear("o_proj", num_heads_ * head_dim_, D);
}

// q: [n, H, E]; k, v: [m, G, E] -> [n, H * E]
at::Tensor Attention::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             bool causal) const {
  const auto heads_first = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const at::Tensor out =
      at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), {}, 0.0, causal,
                                       /*scale=*/std::nullopt, /*enable_gqa=*/num_heads_ != num_kv_heads_);
  return out.squeeze(0).transpose(0, 1).reshape({q.size(0), num_heads_ * head_dim_});
}

// The rows of one segment; with a cache they follow those in it.
at::Tensor Attention::attend_behind(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                    KvCache* cache) const {
  if (cache == nullptr) return attend(q, k, v, /*causal=*/true);
  const std::int64_t n = q.size(0);
  HIGGS_ASSERT(cache->length + n <= cache->keys.size(0) && (n == 1 || cache->length == 0));
  cache->keys.narrow(0, cache->length, n).copy_(k);
  cache->values.narrow(0, cache->length, n).copy_(v);
  cache->length += n;
  return attend(q, cache->keys.narrow(0, 0, cache->length), cache->values.narrow(0, 0, cache->length),
                /*causal=*/n > 1);
}

at::Tensor Attention::forward(const at::Tensor& x, const Sequence& sequence, const DropoutContext& dropout,
                              std::span<KvCache> caches) {
  const std::int64_t n = x.size(0);
  const at::Tensor q =
      apply_rope(q_proj_->forward(x, dropout).view({n, num_heads_, head_dim_}), sequence.rope);
  const at::Tensor k =
      apply_rope(k_proj_->forward(x, dropout).view({n, num_kv_heads_, head_dim_}), sequence.rope);
  const at::Tensor v = v_proj_->forward(x, dropout).view({n, num_kv_heads_, head_dim_});

  HIGGS_ASSERT(caches.empty() || caches.size() + 1 == sequence.cu_seqlens.size());
  std::vector<at::Tensor> segments;
  for (std::size_t s = 0; s + 1 < sequence.cu_seqlens.size(); ++s) {
    const std::int64_t begin = sequence.cu_seqlens[s];
    const std::int64_t size = sequence.cu_seqlens[s + 1] - begin;
    if (size == 0) continue;
    segments.push_back(attend_behind(q.narrow(0, begin, size), k.narrow(0, begin, size),
                                     v.narrow(0, begin, size), caches.empty() ? nullptr : &caches[s]));
  }
  return o_proj_->forward(segments.size() == 1 ? segments[0] : at::cat(segments), dropout);
}

Mlp::Mlp(const ModelConfig& config, const std::string& path, WeightSource& weights) {
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    return register_module(name, take_linear(weights, path + "." + name, out, in));
  };
  gate_proj_ = linear("gate_proj", config.hidden_size, config.intermediate_size);
  up_proj_ = linear("up_proj", config.hidden_size, config.intermediate_size);
  down_proj_ = linear("down_proj", config.intermediate_size, config.hidden_size);
}

at::Tensor Mlp::forward(const at::Tensor& x, const DropoutContext& dropout) {
  const at::Tensor gate = at::silu(gate_proj_->forward(x, dropout));
  return down_proj_->forward(gate * up_proj_->forward(x, dropout), dropout);
}

DecoderLayer::DecoderLayer(const ModelConfig& config, LayerForm form, const std::string& path,
                           WeightSource& weights)
    : form_(form) {
  const auto norm = [&](const std::string& name) {
    at::Tensor weight = weights.take(path + "." + name + ".weight", {config.hidden_size});
    return register_module(name, std::make_shared<RmsNorm>(std::move(weight), config.rms_norm_eps));
  };
  input_layernorm_ = norm("input_layernorm");
  post_attention_layernorm_ = norm("post_attention_layernorm");
  self_attn_ =
      register_module("self_attn", std::make_shared<Attention>(config, path + ".self_attn", weights));
  mlp_ = register_module("mlp", std::make_shared<Mlp>(config, path + ".mlp", weights));
  if (form_ == LayerForm::kDualFfn) {
    audio_input_layernorm_ = norm("audio_input_layernorm");
    audio_post_attention_layernorm_ = norm("audio_post_attention_layernorm");
    audio_mlp_ = register_module("audio_mlp", std::make_shared<Mlp>(config, path + ".audio_mlp", weights));
  }
  for (const auto& module : modules(/*include_self=*/false)) {
    if (const auto* linear = dynamic_cast<const LoraLinear*>(module.get())) linears_.push_back(linear);
  }
}

at::Tensor DecoderLayer::forward(const at::Tensor& x, const ForwardContext& context,
                                 std::span<KvCache> caches) {
  if (form_ == LayerForm::kDualFfn) return forward_dual(x, context, caches);
  if (form_ == LayerForm::kTextFfn) return forward_as_text(x, context, context.all, caches);
  if (context.rows.text.numel() == 0) return x;
  const at::Tensor text = x.index_select(0, context.rows.text);
  return x.index_copy(0, context.rows.text, forward_as_text(text, context, context.text, caches));
}

at::Tensor DecoderLayer::forward_as_text(const at::Tensor& x, const ForwardContext& context,
                                         const Sequence& sequence, std::span<KvCache> caches) {
  const DropoutContext dropout = context.dropout(sequence.index);
  const at::Tensor h = x + self_attn_->forward(input_layernorm_->forward(x), sequence, dropout, caches);
  return h + mlp_->forward(post_attention_layernorm_->forward(h), dropout);
}

at::Tensor DecoderLayer::forward_dual(const at::Tensor& x, const ForwardContext& context,
                                      std::span<KvCache> caches) {
  const at::Tensor norm_weight =
      at::where(context.is_audio, audio_input_layernorm_->weight(), input_layernorm_->weight());
  const at::Tensor normed = norm_weight * input_layernorm_->normalise(x);
  const at::Tensor h =
      x + self_attn_->forward(normed, context.all, context.dropout(context.all.index), caches);

  const at::Tensor text =
      mlp_->forward(post_attention_layernorm_->forward(h.index_select(0, context.rows.text)),
                    context.dropout(context.rows.text_index));
  const at::Tensor audio =
      audio_mlp_->forward(audio_post_attention_layernorm_->forward(h.index_select(0, context.rows.audio)),
                          context.dropout(context.rows.audio_index));
  return h + at::cat({text, audio}).index_select(0, context.merge_rows);
}

Decoder::Decoder(const ModelConfig& config, WeightSource& weights) {
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    auto layer = std::make_shared<DecoderLayer>(config, config.layer_forms[static_cast<std::size_t>(i)],
                                                "layers." + std::to_string(i), weights);
    layers_.push_back(register_module("layer" + std::to_string(i), std::move(layer)));
  }
  at::Tensor weight = weights.take("norm.weight", {config.hidden_size});
  norm_ = register_module("norm", std::make_shared<RmsNorm>(std::move(weight), config.rms_norm_eps));
}

at::Tensor Decoder::forward(at::Tensor x, const ForwardContext& context, std::vector<KvCache>* caches,
                            std::vector<at::Tensor>* layer_outputs) {
  const std::size_t num_samples = context.all.cu_seqlens.size() - 1;
  HIGGS_ASSERT(caches == nullptr || caches->size() == layers_.size() * num_samples);
  bool all_rows = true;  // whether x holds them still
  // The backward pass comes when `context` is gone.
  const auto kept = context.recompute ? std::make_shared<const ForwardContext>(context) : nullptr;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    DecoderLayer& layer = *layers_[i];
    std::span<KvCache> of_layer;
    if (caches != nullptr) of_layer = std::span(*caches).subspan(i * num_samples, num_samples);
    const bool fused = context.fused && layer.can_fuse();
    const bool last = fused && i + 1 == layers_.size();  // the other form gives all rows
    all_rows = !last;
    const auto run = [&layer, of_layer, fused, last](const at::Tensor& input, const ForwardContext& shared) {
      return fused ? layer.forward_fused(input, shared, last ? shared.last : shared.rows, of_layer)
                   : layer.forward(input, shared, of_layer);
    };
    x = kept != nullptr ? recomputed(x, layer.parameters_of_adapters(),
                                     [run, kept](const at::Tensor& input) { return run(input, *kept); })
                        : run(x, context);
    if (layer_outputs != nullptr) layer_outputs->push_back(x);
  }
  if (all_rows && context.last.rows.defined()) x = x.index_select(0, context.last.rows);
  return norm_->forward(x);
}

std::vector<at::Tensor> DecoderLayer::parameters_of_adapters() const {
  std::vector<at::Tensor> parameters;
  for (const LoraLinear* linear : linears_) {
    for (const at::Tensor& tensor : {linear->a(), linear->b(), linear->magnitude()}) {
      if (tensor.defined()) parameters.push_back(tensor);
    }
  }
  return parameters;
}

std::vector<std::shared_ptr<LoraLinear>> Decoder::linears() const {
  std::vector<std::shared_ptr<LoraLinear>> found;
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto linear = std::dynamic_pointer_cast<LoraLinear>(module)) found.push_back(std::move(linear));
  }
  return found;
}

}  // namespace higgs
