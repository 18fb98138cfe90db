// The semantic branch's speech model: HuBERT with a group norm in its first convolution and post-layer norm.
#pragma once

#include "config.h"
#include "higgs/codec/frames.h"
#include "weights.h"

namespace higgs::codec {

class Hubert {
 public:
  Hubert(WeightMap& weights, const std::string& prefix, const HubertConfig& config);
  // [1, samples at 16 kHz] -> [1, frames, width()]: the mean of what enters the first layer and of every
  // layer's output; `all_states`, when given, receives each of them.
  at::Tensor mean_hidden_states(const at::Tensor& wave, std::vector<at::Tensor>* all_states = nullptr) const;
  std::int64_t width() const { return projection_.weight.size(0); }
  std::vector<ConvShape> shapes() const;  // from samples to frames

 private:
  struct Layer {
    Linear q, k, v, out;
    LayerNorm attention_norm;
    Linear up, down;
    LayerNorm final_norm;
  };
  static Layer take_layer(WeightMap& weights, const std::string& prefix, std::int64_t width, double eps);
  at::Tensor features(const at::Tensor& wave) const;       // [1, frames, feature width]
  at::Tensor embedding(const at::Tensor& features) const;  // [1, frames, width]
  at::Tensor attention(const Layer& layer, const at::Tensor& x) const;
  at::Tensor forward(const Layer& layer, const at::Tensor& x) const;

  HubertConfig config_;
  std::vector<Conv> convs_;
  LayerNorm group_norm_;  // of the first convolution: one group per channel
  LayerNorm projection_norm_;
  Linear projection_;
  Conv position_conv_;
  LayerNorm embedding_norm_;
  std::vector<Layer> layers_;
};

}  // namespace higgs::codec
