// The convolutions over HuBERT's features. Tensors are [1, channels, frames].
#pragma once

#include "higgs/codec/frames.h"
#include "weights.h"

namespace higgs::codec {

class SemanticEncoder {
 public:
  // `width` channels come in; one block per stride, each with one residual unit per dilation.
  SemanticEncoder(WeightMap& weights, const std::string& prefix, std::int64_t width,
                  const std::vector<std::int64_t>& strides, const std::vector<std::int64_t>& dilations);
  at::Tensor operator()(const at::Tensor& x) const;
  std::int64_t width() const { return blocks_.back().conv.weight.size(0); }
  // Leaving out what keeps the length.
  std::vector<ConvShape> shapes() const;

 private:
  struct Unit {
    Conv conv1, conv2;
    std::int64_t dilation;
  };
  struct Block {
    std::vector<Unit> units;
    Conv conv;
    ConvShape shape;
  };
  Conv conv_;
  std::vector<Block> blocks_;
};

}  // namespace higgs::codec
