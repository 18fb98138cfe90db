#include "dac.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/conv_transpose1d.h>

#include "higgs/kernels/snake.h"

namespace higgs::codec {
namespace {

constexpr std::array<std::int64_t, 3> kDilations = {1, 3, 9};
constexpr std::int64_t kUnitKernel = 7;

// A convolution with stride s has the kernel 2 s and the padding s / 2, rounded up.
ConvShape resampling_conv(std::int64_t stride) {
  return {2 * stride, stride, (stride + 1) / 2};
}

// Keeps the length.
at::Tensor same_conv(const at::Tensor& x, const Conv& conv, std::int64_t dilation = 1) {
  return at::conv1d(x, conv.weight, conv.bias, 1, (conv.kernel() - 1) / 2 * dilation, dilation);
}

std::array<DacResidualUnit, 3> take_units(WeightMap& weights, const std::string& prefix, std::int64_t width) {
  std::array<DacResidualUnit, 3> units;
  for (std::size_t i = 0; i < units.size(); ++i) {
    units[i] = DacResidualUnit(weights, prefix + ".res_unit" + std::to_string(i + 1), width, kDilations[i]);
  }
  return units;
}

}  // namespace

Snake::Snake(WeightMap& weights, const std::string& prefix, std::int64_t width)
    : alpha_(weights.take(prefix + ".alpha", {1, width, 1})), reciprocal_((alpha_ + 1e-9).reciprocal()) {}

at::Tensor Snake::operator()(const at::Tensor& x) const {
  return snake(x, alpha_, reciprocal_);
}

DacResidualUnit::DacResidualUnit(WeightMap& weights, const std::string& prefix, std::int64_t width,
                                 std::int64_t dilation)
    : snake1_(weights, prefix + ".snake1", width),
      snake2_(weights, prefix + ".snake2", width),
      conv1_(weights.take_conv(prefix + ".conv1", {width, width, kUnitKernel}, Bias::kRequired)),
      conv2_(weights.take_conv(prefix + ".conv2", {width, width, 1}, Bias::kRequired)),
      dilation_(dilation) {}

at::Tensor DacResidualUnit::operator()(const at::Tensor& x) const {
  const at::Tensor inner = same_conv(snake1_(x), conv1_, dilation_);
  return same_conv(snake2_(inner), conv2_).add_(x);
}

DacEncoder::DacEncoder(WeightMap& weights, const std::string& prefix,
                       const std::vector<std::int64_t>& strides) {
  conv1_ = weights.take_conv(prefix + ".conv1", {kAny, 1, 7}, Bias::kRequired);
  std::int64_t width = conv1_.weight.size(0);
  for (std::size_t i = 0; i < strides.size(); ++i) {
    const std::string name = prefix + ".block." + std::to_string(i);
    Block block;
    block.shape = resampling_conv(strides[i]);
    block.units = take_units(weights, name, width);
    block.snake = Snake(weights, name + ".snake1", width);
    block.conv = weights.take_conv(name + ".conv1", {kAny, width, block.shape.kernel}, Bias::kRequired);
    width = block.conv.weight.size(0);
    blocks_.push_back(std::move(block));
  }
  snake_ = Snake(weights, prefix + ".snake1", width);
  conv2_ = weights.take_conv(prefix + ".conv2", {kAny, width, 3}, Bias::kRequired);
}

std::vector<ConvShape> DacEncoder::shapes() const {
  std::vector<ConvShape> shapes;
  for (const Block& block : blocks_) shapes.push_back(block.shape);
  return shapes;
}

at::Tensor DacEncoder::operator()(const at::Tensor& wave) const {
  at::Tensor x = same_conv(wave, conv1_);
  for (const Block& block : blocks_) {
    for (const DacResidualUnit& unit : block.units) x = unit(x);
    x = at::conv1d(block.snake(x), block.conv.weight, block.conv.bias, block.shape.stride,
                   block.shape.padding);
  }
  return same_conv(snake_(x), conv2_);
}

DacDecoder::DacDecoder(WeightMap& weights, const std::string& prefix,
                       const std::vector<std::int64_t>& strides) {
  conv1_ = weights.take_conv(prefix + ".conv1", {kAny, kAny, 7}, Bias::kRequired);
  std::int64_t width = conv1_.weight.size(0);
  for (std::size_t i = 0; i < strides.size(); ++i) {
    const std::string name = prefix + ".block." + std::to_string(i);
    Block block;
    block.shape = resampling_conv(strides[i]);
    block.snake = Snake(weights, name + ".snake1", width);
    block.conv = weights.take_transposed_conv(name + ".conv_t1", {width, kAny, block.shape.kernel});
    width = block.conv.weight.size(1);
    block.units = take_units(weights, name, width);
    blocks_.push_back(std::move(block));
  }
  snake_ = Snake(weights, prefix + ".snake1", width);
  conv2_ = weights.take_conv(prefix + ".conv2", {1, width, 7}, Bias::kRequired);
}

std::int64_t DacDecoder::context() const {
  // How far a sample looks to either side, from the last convolution to the first: at each rate, in its steps.
  std::int64_t reach = (conv2_.kernel() - 1) / 2;
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    for (const std::int64_t dilation : kDilations) reach += (kUnitKernel - 1) / 2 * dilation;
    reach = (reach + block->shape.stride - 1) / block->shape.stride + 1;  // kernel 2 s, padding s / 2
  }
  return reach + (conv1_.kernel() - 1) / 2;
}

at::Tensor DacDecoder::operator()(const at::Tensor& input) const {
  at::Tensor x = same_conv(input, conv1_);
  for (const Block& block : blocks_) {
    const std::int64_t stride = block.shape.stride;
    x = at::conv_transpose1d(block.snake(x), block.conv.weight, block.conv.bias, stride, block.shape.padding,
                             /*output_padding=*/stride % 2);
    for (const DacResidualUnit& unit : block.units) x = unit(x);
  }
  return same_conv(snake_(x), conv2_);
}

}  // namespace higgs::codec
