// The acoustic branch: DAC's convolutional encoder and decoder. Tensors are [1, channels, time].
#pragma once

#include <array>

#include "higgs/codec/frames.h"
#include "weights.h"

namespace higgs::codec {

// x + sin^2(alpha x) / alpha, with one alpha per channel.
class Snake {
 public:
  Snake() = default;
  Snake(WeightMap& weights, const std::string& prefix, std::int64_t width);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor alpha_;       // [1, width, 1]
  at::Tensor reciprocal_;  // 1 / (alpha + 1e-9)
};

class DacResidualUnit {
 public:
  DacResidualUnit() = default;
  DacResidualUnit(WeightMap& weights, const std::string& prefix, std::int64_t width, std::int64_t dilation);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  Snake snake1_, snake2_;
  Conv conv1_, conv2_;
  std::int64_t dilation_ = 1;
};

class DacEncoder {
 public:
  DacEncoder(WeightMap& weights, const std::string& prefix, const std::vector<std::int64_t>& strides);
  // [1, 1, samples] -> [1, width(), frames]
  at::Tensor operator()(const at::Tensor& wave) const;
  std::int64_t width() const { return conv2_.weight.size(0); }
  // From samples to frames, leaving out what keeps the length.
  std::vector<ConvShape> shapes() const;

 private:
  struct Block {
    std::array<DacResidualUnit, 3> units;
    Snake snake;
    Conv conv;
    ConvShape shape;
  };
  Conv conv1_;
  std::vector<Block> blocks_;
  Snake snake_;
  Conv conv2_;
};

// DAC's decoder without the closing tanh, and with transposed convolutions that multiply the length by their
// stride exactly.
class DacDecoder {
 public:
  DacDecoder(WeightMap& weights, const std::string& prefix, const std::vector<std::int64_t>& strides);
  // [1, width(), frames] -> [1, 1, samples]
  at::Tensor operator()(const at::Tensor& x) const;
  std::int64_t width() const { return conv1_.weight.size(1); }
  // Frames on either side that the samples of one depend on.
  std::int64_t context() const;

 private:
  struct Block {
    Snake snake;
    Conv conv;
    ConvShape shape;
    std::array<DacResidualUnit, 3> units;
  };
  Conv conv1_;
  std::vector<Block> blocks_;
  Snake snake_;
  Conv conv2_;
};

}  // namespace higgs::codec
