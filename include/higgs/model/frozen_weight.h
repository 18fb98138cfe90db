// The weight of a linear map that doesn't learn: as it was loaded, or in four bits (kernels/nf4.h), widened
// again each time it is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "higgs/kernels/nf4.h"

namespace higgs {

class FrozenWeight {
 public:
  FrozenWeight(at::Tensor weight);  // NOLINT(google-explicit-constructor): [out, in], as it is
  // In four bits; as it is where its number of values is no multiple of kNf4Block.
  static FrozenWeight quantized(const at::Tensor& weight);

  bool is_quantized() const { return nf4_.has_value(); }
  at::ScalarType dtype() const { return dtype_; }  // it was loaded with
  std::int64_t in_features() const { return in_; }
  std::int64_t out_features() const { return out_; }

  // [out, in] in the dtype it was loaded with: itself, or a matrix made anew from its four bits.
  at::Tensor values() const;
  // x W^T, in x's dtype; differentiable in x. What is quantised is not kept widened for the backward pass,
  // nor what is narrower than x.
  at::Tensor linear(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // undefined when quantised
  std::optional<Nf4> nf4_;
  at::ScalarType dtype_;
  std::int64_t out_, in_;
};

}  // namespace higgs
