#include "higgs/model/lora_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"
#include "higgs/model/lora_weight.h"

namespace higgs {
namespace {

// FNV-1a: stable across builds and platforms, since dropout masks depend on it.
std::uint64_t name_key(const std::string& name) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace

LoraLinear::LoraLinear(std::string path, FrozenWeight weight)
    : path_(std::move(path)), path_key_(name_key(path_)), weight_(std::move(weight)) {
  // By its name an adapter that brings a weight of its own finds it.
  if (!weight_.is_quantized()) register_buffer("weight", weight_.values());
}

at::Tensor LoraLinear::weight() const {
  if (!trained_.defined()) return weight_.values();
  const at::Tensor values = trained_.detach();
  if (values.scalar_type() == weight_.dtype()) return values;
  if (!rounded_.defined() || rounded_version_ != static_cast<std::int64_t>(values._version())) {
    rounded_.reset();
    rounded_ = values.to(weight_.dtype());
    rounded_version_ = static_cast<std::int64_t>(values._version());
  }
  return rounded_;
}

// W x, differentiable in what learns.
at::Tensor LoraLinear::base(const at::Tensor& x) const {
  if (!trained_.defined()) return weight_.linear(x);
  const at::Tensor used = at::GradMode::is_enabled() ? trained_.to(weight_.dtype()) : weight();
  return at::linear(x, used.to(x.scalar_type()));
}

at::Tensor LoraLinear::forward(const at::Tensor& x, const DropoutContext& context) {
  const at::Tensor y = base(x);
  if (!has_adapter()) return y;
  at::Tensor input = x.to(at::kFloat);
  if (context.p > 0.0) input = dropout(input, context.p, mix_key(context.key, path_key_), *context.rows);
  const at::Tensor low_rank = at::linear(at::linear(input, a_), b_);
  const at::Tensor delta =
      magnitude_.defined() ? dora(y, input, low_rank, context.p > 0.0) : low_rank * scaling_;
  return (y + delta).to(y.scalar_type());
}

// What DoRA adds to y = W x. `input`: x after dropout; `low_rank`: B(A(input)).
at::Tensor LoraLinear::dora(const at::Tensor& y, const at::Tensor& input, const at::Tensor& low_rank,
                            bool dropped) {
  const at::Tensor ratio = (magnitude_ / norm()).unsqueeze(0);
  const at::Tensor whole = dropped ? base(input) : y;
  return (ratio - 1) * whole + ratio * low_rank * scaling_;
}

at::Tensor LoraLinear::norm() {
  if (at::GradMode::is_enabled()) return dora_norm(weight(), a_, b_, scaling_);
  const std::int64_t version =
      static_cast<std::int64_t>(a_._version()) + static_cast<std::int64_t>(b_._version());
  if (!norm_.defined() || norm_version_ != version) {
    norm_ = dora_norm(weight(), a_, b_, scaling_);
    norm_version_ = version;
  }
  return norm_;
}

void LoraLinear::attach(at::Tensor a, at::Tensor b, double scaling, at::Tensor magnitude) {
  HIGGS_ASSERT(a.dim() == 2 && b.dim() == 2 && a.size(0) == b.size(1));
  HIGGS_ASSERT(a.size(1) == in_features() && b.size(0) == out_features());
  HIGGS_ASSERT(!magnitude.defined() || (magnitude.dim() == 1 && magnitude.size(0) == out_features()));
  norm_.reset();
  a_ = std::move(a);
  b_ = std::move(b);
  magnitude_ = std::move(magnitude);
  scaling_ = scaling;
}

void LoraLinear::train_weight(at::Tensor values) {
  HIGGS_ASSERT(!is_quantized());
  HIGGS_ASSERT(!values.defined() || (values.dim() == 2 && values.size(0) == out_features() &&
                                     values.size(1) == in_features() && values.scalar_type() == at::kFloat));
  trained_ = std::move(values);
  rounded_.reset();
}

void LoraLinear::detach_adapter() {
  a_.reset();
  b_.reset();
  magnitude_.reset();
  norm_.reset();
}

}  // namespace higgs
