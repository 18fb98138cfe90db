#include "higgs/model/frozen_weight.h"

#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// x W^T: the backward pass makes W anew instead of keeping it.
class LinearOfRemade : public torch::autograd::Function<LinearOfRemade> {
 public:
  // `codes` and `absmax`: of four bits; else `codes` is the weight itself.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& codes, const std::optional<at::Tensor>& absmax,
                            at::IntArrayRef shape, at::ScalarType dtype) {
    context->save_for_backward({codes, absmax.value_or(at::Tensor())});
    context->saved_data["shape"] = shape.vec();
    context->saved_data["dtype"] = static_cast<std::int64_t>(dtype);
    return at::linear(x,
                      remade(codes, absmax.value_or(at::Tensor()), shape.vec(), dtype).to(x.scalar_type()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    const auto saved = context->get_saved_variables();
    const at::Tensor weight = remade(saved[0], saved[1], context->saved_data["shape"].toIntVector(),
                                     static_cast<at::ScalarType>(context->saved_data["dtype"].toInt()));
    return {grad_outputs[0].mm(weight.to(grad_outputs[0].scalar_type())), {}, {}, {}, {}};
  }

 private:
  static at::Tensor remade(const at::Tensor& codes, const at::Tensor& absmax,
                           const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
    return absmax.defined() ? dequantize_nf4({codes, absmax, shape}, dtype) : codes;
  }
};

}  // namespace

FrozenWeight::FrozenWeight(at::Tensor weight)
    : weight_(std::move(weight)),
      dtype_(weight_.scalar_type()),
      out_(weight_.size(0)),
      in_(weight_.size(1)) {}

FrozenWeight FrozenWeight::quantized(const at::Tensor& weight) {
  FrozenWeight frozen(weight);
  if (weight.numel() % kNf4Block != 0) return frozen;
  frozen.nf4_ = quantize_nf4(weight.contiguous());
  frozen.weight_.reset();
  return frozen;
}

at::Tensor FrozenWeight::values() const {
  return nf4_ ? dequantize_nf4(*nf4_, dtype_) : weight_;
}

at::Tensor FrozenWeight::linear(const at::Tensor& x) const {
  if (nf4_) {
    return LinearOfRemade::apply(x, nf4_->codes, std::optional(nf4_->absmax), nf4_->shape, dtype_);
  }
  if (x.scalar_type() == dtype_) return at::linear(x, weight_);
  return LinearOfRemade::apply(x, weight_, std::optional<at::Tensor>(), weight_.sizes(), dtype_);
}

}  // namespace higgs
