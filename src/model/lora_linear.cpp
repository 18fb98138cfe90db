#include "higgs/model/lora_linear.h"

#include <ATen/ops/linear.h>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

// FNV-1a: stable across builds and platforms, since dropout masks depend on it.
std::uint64_t name_key(const std::string& name) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace

LoraLinear::LoraLinear(std::string path, at::Tensor weight)
    : path_(std::move(path)),
      path_key_(name_key(path_)),
      weight_(register_buffer("weight", std::move(weight))) {}

at::Tensor LoraLinear::forward(const at::Tensor& x, const DropoutContext& context) {
  const at::Tensor y = at::linear(x, weight_.to(x.scalar_type()));
  if (!a_.defined()) return y;
  at::Tensor input = x.to(at::kFloat);
  if (context.p > 0.0) input = dropout(input, context.p, mix_key(context.key, path_key_), *context.rows);
  const at::Tensor delta = at::linear(at::linear(input, a_), b_) * scaling_;
  return (y + delta).to(y.scalar_type());
}

void LoraLinear::attach(at::Tensor a, at::Tensor b, double scaling) {
  HIGGS_ASSERT(a.dim() == 2 && b.dim() == 2 && a.size(0) == b.size(1));
  HIGGS_ASSERT(a.size(1) == in_features() && b.size(0) == out_features());
  a_ = std::move(a);
  b_ = std::move(b);
  scaling_ = scaling;
}

void LoraLinear::detach_adapter() {
  a_.reset();
  b_.reset();
}

}  // namespace higgs
