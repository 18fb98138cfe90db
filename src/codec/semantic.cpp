#include "semantic.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/elu.h>

#include "higgs/base/error.h"

namespace higgs::codec {
namespace {

// A convolution between `width` channels that keeps the length, which only an odd kernel can.
Conv take_same_conv(WeightMap& weights, const std::string& prefix, std::int64_t width) {
  Conv conv = weights.take_conv(prefix, {width, width, kAny}, Bias::kNone);
  if (conv.kernel() % 2 == 0) {
    throw UserError(weights.where() + ": tensor '" + prefix + ".weight' has a kernel of " +
                    std::to_string(conv.kernel()) + ", an odd one is expected");
  }
  return conv;
}

at::Tensor same_conv(const at::Tensor& x, const Conv& conv, std::int64_t dilation = 1) {
  return at::conv1d(x, conv.weight, conv.bias, 1, conv.kernel() / 2 * dilation, dilation);
}

}  // namespace

SemanticEncoder::SemanticEncoder(WeightMap& weights, const std::string& prefix, std::int64_t width,
                                 const std::vector<std::int64_t>& strides,
                                 const std::vector<std::int64_t>& dilations) {
  conv_ = take_same_conv(weights, prefix + ".conv", width);
  for (std::size_t b = 0; b < strides.size(); ++b) {
    const std::string name = prefix + ".conv_blocks." + std::to_string(b);
    Block block;
    for (std::size_t u = 0; u < dilations.size(); ++u) {
      const std::string unit = name + ".res_units." + std::to_string(u);
      block.units.push_back({take_same_conv(weights, unit + ".conv1", width),
                             weights.take_conv(unit + ".conv2", {width, width, 1}, Bias::kNone),
                             dilations[u]});
    }
    const std::int64_t kernel = strides[b] == 1 ? 3 : 2 * strides[b];
    block.shape = {kernel, strides[b], (kernel - 1) / 2};
    block.conv = weights.take_conv(name + ".conv", {kAny, width, kernel}, Bias::kRequired);
    width = block.conv.weight.size(0);
    blocks_.push_back(std::move(block));
  }
}

std::vector<ConvShape> SemanticEncoder::shapes() const {
  std::vector<ConvShape> shapes;
  for (const Block& block : blocks_) shapes.push_back(block.shape);
  return shapes;
}

at::Tensor SemanticEncoder::operator()(const at::Tensor& input) const {
  at::Tensor x = same_conv(input, conv_);
  for (const Block& block : blocks_) {
    for (const Unit& unit : block.units) {
      const at::Tensor inner = same_conv(at::elu(x), unit.conv1, unit.dilation);
      x = x + same_conv(at::elu(inner), unit.conv2);
    }
    x = at::conv1d(x, block.conv.weight, block.conv.bias, block.shape.stride, block.shape.padding);
  }
  return x;
}

}  // namespace higgs::codec
