// The Whisper encoder (Radford et al. 2022) that hears clips of user and system turns, and the projector into
// the decoder's width. Frozen: it has no adapter, and nothing flows back into it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "higgs/model/config.h"
#include "higgs/model/weights.h"

namespace higgs {

// Weights with a bias where there is one.
struct AffineMap {
  at::Tensor weight, bias;
  at::Tensor operator()(const at::Tensor& x) const;
};

// Self-attention and FFN, each behind its LayerNorm. n chunks of S positions, W wide.
class AudioTowerLayer {
 public:
  AudioTowerLayer(const AudioTowerConfig& config, const std::string& path, WeightSource& weights);
  // x: [n, S, W]; bias: [n, 1, S, S], added to the attention scores.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) const;

 private:
  std::int64_t num_heads_;
  AffineMap q_, k_, v_, out_, fc1_, fc2_, attention_norm_, ffn_norm_;
};

class AudioTower {
 public:
  AudioTower(const AudioTowerConfig& config, std::int64_t hidden_size, WeightSource& weights);
  // features: float [n, mels, 2 * S]; valid: int64 [n], frames of each that hold sound.
  // -> [n, S / 2, hidden_size]: neighbours are averaged, then normed and projected.
  // Positions of valid frames have 1 added to their attention scores, the others nothing: the reference means
  // to mask the others, but adds its boolean mask as a number (transformers 4.46, measured).
  at::Tensor forward(const at::Tensor& features, const at::Tensor& valid) const;

 private:
  AffineMap conv1_, conv2_, norm_, projector_;
  at::Tensor positions_;  // [S, W]
  std::vector<AudioTowerLayer> layers_;
};

}  // namespace higgs
