#include "higgs/kernels/dropout.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "call.h"

namespace higgs {
namespace {

kernels::DropoutArgs dropout_args(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  HIGGS_ASSERT(p >= 0.0 && p < 1.0);
  HIGGS_ASSERT(x.dim() == 2 && x.is_contiguous() && x.scalar_type() == at::kFloat);
  HIGGS_ASSERT(rows.sample.numel() == x.size(0) && rows.position.numel() == x.size(0));
  kernels::DropoutArgs args{};
  args.num_rows = x.size(0);
  args.num_features = x.size(1);
  args.threshold = static_cast<std::uint32_t>(std::clamp<long>(std::lround(p * 65536.0), 0, 65535));
  args.scale = 65536.0f / static_cast<float>(65536u - args.threshold);
  args.key = key;
  args.sample = rows.sample.const_data_ptr<std::int32_t>();
  args.position = rows.position.const_data_ptr<std::int32_t>();
  args.in = x.const_data_ptr<float>();
  return args;
}

class DropoutFunction : public torch::autograd::Function<DropoutFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, double p,
                            std::int64_t key, const at::Tensor& sample, const at::Tensor& position) {
    context->saved_data["p"] = p;
    context->saved_data["key"] = key;
    context->save_for_backward({sample, position});
    return dropped(x.contiguous(), p, static_cast<std::uint64_t>(key), {sample, position});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    const auto saved = context->get_saved_variables();
    const auto key = static_cast<std::uint64_t>(context->saved_data["key"].toInt());
    const double p = context->saved_data["p"].toDouble();
    return {dropped(grad_outputs[0].contiguous(), p, key, {saved[0], saved[1]}), {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  if (p == 0.0) return x;
  return DropoutFunction::apply(x, p, static_cast<std::int64_t>(key), rows.sample, rows.position);
}

at::Tensor dropped(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  kernels::DropoutArgs args = dropout_args(x, p, key, rows);
  at::Tensor out = at::empty_like(x);
  args.out = out.mutable_data_ptr<float>();
  HIGGS_CALL(x, dropout, args);
  return out;
}

void add_dropped_(at::Tensor& sum, const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  kernels::DropoutArgs args = dropout_args(x, p, key, rows);
  HIGGS_ASSERT(sum.sizes() == x.sizes());
  args.bf16 = kernels::is_bf16(sum);
  args.sum = sum.mutable_data_ptr();
  HIGGS_CALL(x, dropout, args);
}

}  // namespace higgs
