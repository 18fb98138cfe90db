#include "hubert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/stack.h>

#include <cmath>

#include "higgs/base/error.h"

namespace higgs::codec {
namespace {

constexpr double kGroupNormEps = 1e-5;  // the framework's default; not a setting of the model

}  // namespace

Hubert::Hubert(WeightMap& weights, const std::string& prefix, const HubertConfig& config) : config_(config) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < config.conv_strides.size(); ++i) {
    const std::string name = prefix + ".feature_extractor.conv_layers." + std::to_string(i);
    convs_.push_back(weights.take_conv(name + ".conv", {kAny, in, kAny}, Bias::kOptional));
    in = convs_.back().weight.size(0);
    if (i == 0) group_norm_ = weights.take_norm(name + ".layer_norm", in, kGroupNormEps);
  }
  const std::string projection = prefix + ".feature_projection";
  if (config.projection_norm) {
    projection_norm_ = weights.take_norm(projection + ".layer_norm", in, config.layer_norm_eps);
  }
  projection_ = weights.take_linear(projection + ".projection", in, kAny);
  if (width() % config.num_heads != 0 || width() % config.pos_conv_groups != 0) {
    throw UserError(weights.where() + ": HuBERT's width " + std::to_string(width()) +
                    " cannot be divided into " + std::to_string(config.num_heads) + " heads and " +
                    std::to_string(config.pos_conv_groups) +
                    " convolution groups; is the file of this config?");
  }
  const std::string encoder = prefix + ".encoder";
  position_conv_ = weights.take_conv(encoder + ".pos_conv_embed.conv",
                                     {width(), width() / config.pos_conv_groups, kAny}, Bias::kRequired,
                                     /*norm_dim=*/2);
  embedding_norm_ = weights.take_norm(encoder + ".layer_norm", width(), config.layer_norm_eps);
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    layers_.push_back(
        take_layer(weights, encoder + ".layers." + std::to_string(i), width(), config.layer_norm_eps));
  }
}

Hubert::Layer Hubert::take_layer(WeightMap& weights, const std::string& prefix, std::int64_t width,
                                 double eps) {
  Layer layer;
  layer.q = weights.take_linear(prefix + ".attention.q_proj", width, width);
  layer.k = weights.take_linear(prefix + ".attention.k_proj", width, width);
  layer.v = weights.take_linear(prefix + ".attention.v_proj", width, width);
  layer.out = weights.take_linear(prefix + ".attention.out_proj", width, width);
  layer.attention_norm = weights.take_norm(prefix + ".layer_norm", width, eps);
  layer.up = weights.take_linear(prefix + ".feed_forward.intermediate_dense", width, kAny);
  layer.down = weights.take_linear(prefix + ".feed_forward.output_dense", layer.up.weight.size(0), width);
  layer.final_norm = weights.take_norm(prefix + ".final_layer_norm", width, eps);
  return layer;
}

std::vector<ConvShape> Hubert::shapes() const {
  std::vector<ConvShape> shapes;
  for (std::size_t i = 0; i < convs_.size(); ++i) {
    shapes.push_back({convs_[i].kernel(), config_.conv_strides[i], 0});
  }
  return shapes;
}

at::Tensor Hubert::features(const at::Tensor& wave) const {
  at::Tensor x = wave.unsqueeze(1);
  for (std::size_t i = 0; i < convs_.size(); ++i) {
    x = at::conv1d(x, convs_[i].weight, convs_[i].bias, config_.conv_strides[i]);
    if (i == 0) x = at::group_norm(x, x.size(1), group_norm_.weight, group_norm_.bias, group_norm_.eps);
    x = at::gelu(x);
  }
  return x.transpose(1, 2);
}

at::Tensor Hubert::embedding(const at::Tensor& features) const {
  const at::Tensor x = projection_(config_.projection_norm ? projection_norm_(features) : features);
  const std::int64_t kernel = position_conv_.kernel();
  at::Tensor position = at::conv1d(x.transpose(1, 2), position_conv_.weight, position_conv_.bias, 1,
                                   kernel / 2, 1, config_.pos_conv_groups);
  // An even kernel gives one frame more than it got.
  position = at::gelu(position.slice(2, 0, x.size(1)));
  return embedding_norm_(x + position.transpose(1, 2));
}

at::Tensor Hubert::attention(const Layer& layer, const at::Tensor& x) const {
  const std::int64_t num_frames = x.size(1);
  const std::int64_t head_width = width() / config_.num_heads;
  const auto heads = [&](const Linear& linear) {
    return linear(x).view({1, num_frames, config_.num_heads, head_width}).transpose(1, 2);
  };
  const at::Tensor mixed =
      at::scaled_dot_product_attention(heads(layer.q), heads(layer.k), heads(layer.v), /*attn_mask=*/{},
                                       /*dropout_p=*/0.0, /*is_causal=*/false,
                                       /*scale=*/1.0 / std::sqrt(static_cast<double>(head_width)));
  return layer.out(mixed.transpose(1, 2).reshape({1, num_frames, width()}));
}

at::Tensor Hubert::forward(const Layer& layer, const at::Tensor& input) const {
  const at::Tensor x = layer.attention_norm(input + attention(layer, input));
  return layer.final_norm(x + layer.down(at::gelu(layer.up(x))));
}

at::Tensor Hubert::mean_hidden_states(const at::Tensor& wave, std::vector<at::Tensor>* all_states) const {
  std::vector<at::Tensor> states = {embedding(features(wave))};
  for (const Layer& layer : layers_) states.push_back(forward(layer, states.back()));
  const at::Tensor mean = at::stack(states, 1).mean(1);
  if (all_states != nullptr) *all_states = std::move(states);
  return mean;
}

}  // namespace higgs::codec
