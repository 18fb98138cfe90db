#include "weights.h"

#include <ATen/ops/_weight_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

#include "higgs/base/error.h"

namespace higgs::codec {
namespace {

template <typename Sizes>
std::string shape_text(const Sizes& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += size == kAny ? "any" : std::to_string(size);
  }
  return text + "]";
}

bool fits(at::IntArrayRef sizes, const std::vector<std::int64_t>& wanted) {
  if (sizes.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == kAny ? sizes[i] < 1 : sizes[i] != wanted[i]) return false;
  }
  return true;
}

}  // namespace

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight, bias);
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

WeightMap::WeightMap(std::string where, std::map<std::string, at::Tensor> tensors, at::Device device,
                     std::map<std::string, std::string> stored_names)
    : where_(std::move(where)),
      tensors_(std::move(tensors)),
      device_(device),
      stored_names_(std::move(stored_names)) {}

std::string WeightMap::called(const std::string& name) const {
  const auto found = stored_names_.find(name);
  if (found != stored_names_.end()) return "'" + found->second + "'";
  return "'" + name + "'" + (stored_names_.empty() ? "" : " (as the Hugging Face layout calls it)");
}

at::Tensor WeightMap::take_on_cpu(const std::string& name, const std::vector<std::int64_t>& shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw UserError(where_ + ": tensor " + called(name) +
                    " is missing; is the file complete, and of this config?");
  }
  const at::Tensor tensor = found->second;
  if (!fits(tensor.sizes(), shape)) {
    throw UserError(where_ + ": tensor " + called(name) + " has the shape " + shape_text(tensor.sizes()) +
                    ", " + shape_text(shape) + " is expected");
  }
  if (!at::isfinite(tensor).all().item<bool>()) {
    throw UserError(where_ + ": tensor " + called(name) +
                    " holds values that are not finite; the file is damaged");
  }
  tensors_.erase(found);
  return tensor;
}

at::Tensor WeightMap::take(const std::string& name, const std::vector<std::int64_t>& shape) {
  return take_on_cpu(name, shape).to(device_);
}

Linear WeightMap::take_linear(const std::string& prefix, std::int64_t in, std::int64_t out) {
  Linear linear;
  linear.weight = take(prefix + ".weight", {out, in});
  linear.bias = take(prefix + ".bias", {linear.weight.size(0)});
  return linear;
}

LayerNorm WeightMap::take_norm(const std::string& prefix, std::int64_t width, double eps) {
  return {take(prefix + ".weight", {width}), take(prefix + ".bias", {width}), eps};
}

at::Tensor WeightMap::take_weight(const std::string& prefix, const std::vector<std::int64_t>& shape,
                                  std::int64_t norm_dim) {
  const std::string names[][2] = {
      {prefix + ".weight_g", prefix + ".weight_v"},
      {prefix + ".parametrizations.weight.original0", prefix + ".parametrizations.weight.original1"}};
  for (const auto& [magnitude, direction] : names) {
    if (!contains(magnitude) && !contains(direction)) continue;
    const at::Tensor v = take_on_cpu(direction, shape);
    std::vector<std::int64_t> g_shape(shape.size(), 1);
    g_shape[static_cast<std::size_t>(norm_dim)] = v.size(norm_dim);
    const at::Tensor g = take_on_cpu(magnitude, g_shape);
    return at::_weight_norm(v, g, norm_dim).to(device_);
  }
  return take(prefix + ".weight", shape);
}

Conv WeightMap::take_conv(const std::string& prefix, const std::vector<std::int64_t>& shape, Bias bias,
                          std::int64_t norm_dim) {
  Conv conv;
  conv.weight = take_weight(prefix, shape, norm_dim);
  const std::string name = prefix + ".bias";
  if (bias == Bias::kRequired || (bias == Bias::kOptional && contains(name))) {
    conv.bias = take(name, {conv.weight.size(0)});
  }
  return conv;
}

Conv WeightMap::take_transposed_conv(const std::string& prefix, const std::vector<std::int64_t>& shape) {
  Conv conv;
  conv.weight = take_weight(prefix, shape, 0);
  conv.bias = take(prefix + ".bias", {conv.weight.size(1)});
  return conv;
}

void WeightMap::finish() const {
  if (tensors_.empty()) return;
  const std::size_t others = tensors_.size() - 1;
  throw UserError(where_ + ": tensor " + called(tensors_.begin()->first) +
                  (others == 0 ? "" : " (and " + std::to_string(others) + " more)") +
                  " is not expected; is the file of this config?");
}

}  // namespace higgs::codec
