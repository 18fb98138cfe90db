#include "higgs/model/audio_tower.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "higgs/base/error.h"

namespace higgs {
namespace {

AffineMap linear(WeightSource& weights, const std::string& path, std::int64_t in, std::int64_t out,
                 bool bias = true) {
  return {weights.take(path + ".weight", {out, in}),
          bias ? weights.take(path + ".bias", {out}) : at::Tensor()};
}

AffineMap vectors(WeightSource& weights, const std::string& path, std::int64_t width) {
  return {weights.take(path + ".weight", {width}), weights.take(path + ".bias", {width})};
}

at::Tensor layer_norm(const at::Tensor& x, const AffineMap& norm) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, 1e-5);
}

}  // namespace

at::Tensor AffineMap::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

AudioTowerLayer::AudioTowerLayer(const AudioTowerConfig& config, const std::string& path,
                                 WeightSource& weights)
    : num_heads_(config.num_heads) {
  const std::int64_t W = config.width, F = config.ffn_width;
  attention_norm_ = vectors(weights, path + ".self_attn_layer_norm", W);
  q_ = linear(weights, path + ".self_attn.q_proj", W, W);
  k_ = linear(weights, path + ".self_attn.k_proj", W, W, /*bias=*/false);
  v_ = linear(weights, path + ".self_attn.v_proj", W, W);
  out_ = linear(weights, path + ".self_attn.out_proj", W, W);
  ffn_norm_ = vectors(weights, path + ".final_layer_norm", W);
  fc1_ = linear(weights, path + ".fc1", W, F);
  fc2_ = linear(weights, path + ".fc2", F, W);
}

at::Tensor AudioTowerLayer::forward(const at::Tensor& x, const at::Tensor& bias) const {
  const at::Tensor normed = layer_norm(x, attention_norm_);
  const auto heads = [&](const at::Tensor& y) {
    return y.view({y.size(0), y.size(1), num_heads_, y.size(2) / num_heads_}).transpose(1, 2);
  };
  const at::Tensor attended =
      at::scaled_dot_product_attention(heads(q_(normed)), heads(k_(normed)), heads(v_(normed)), bias);
  const at::Tensor h = x + out_(attended.transpose(1, 2).reshape(x.sizes()));
  return h + fc2_(at::gelu(fc1_(layer_norm(h, ffn_norm_))));
}

AudioTower::AudioTower(const AudioTowerConfig& config, std::int64_t hidden_size, WeightSource& weights) {
  const std::int64_t W = config.width;
  const auto conv = [&](const std::string& name, std::int64_t in) {
    const std::string path = "audio_tower." + name;
    return AffineMap{weights.take(path + ".weight", {W, in, 3}), weights.take(path + ".bias", {W})};
  };
  conv1_ = conv("conv1", config.num_mels);
  conv2_ = conv("conv2", W);
  positions_ = weights.take("audio_tower.embed_positions.weight", {config.max_positions, W});
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    layers_.emplace_back(config, "audio_tower.layers." + std::to_string(i), weights);
  }
  norm_ = vectors(weights, "audio_tower.layer_norm", W);
  projector_ = linear(weights, "audio_encoder_proj.linear", W, hidden_size);
}

at::Tensor AudioTower::forward(const at::Tensor& features, const at::Tensor& valid) const {
  const at::NoGradGuard no_grad;
  const at::Tensor input = features.to(conv1_.weight.scalar_type());
  const at::Tensor wide =
      at::gelu(at::conv1d(input, conv1_.weight, conv1_.bias, /*stride=*/1, /*padding=*/1));
  const at::Tensor halved =
      at::gelu(at::conv1d(wide, conv2_.weight, conv2_.bias, /*stride=*/2, /*padding=*/1));
  at::Tensor x = halved.transpose(1, 2);
  HIGGS_ASSERT(x.size(1) == positions_.size(0));
  x = x + positions_;
  const std::int64_t S = x.size(1);
  const at::Tensor length = (valid + 1).div(2, "floor").view({-1, 1, 1, 1});
  const at::Tensor bias = at::arange(S, valid.options())
                              .view({1, 1, 1, S})
                              .lt(length)
                              .to(x.scalar_type())
                              .expand({x.size(0), 1, S, S});
  for (const AudioTowerLayer& layer : layers_) x = layer.forward(x, bias);
  const at::Tensor pooled =
      at::avg_pool1d(x.transpose(1, 2), /*kernel_size=*/2, /*stride=*/2).transpose(1, 2);
  return projector_(layer_norm(pooled, norm_));
}

}  // namespace higgs
