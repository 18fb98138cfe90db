#include "higgs/train/head_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/kernels/device.h"
#include "higgs/kernels/layer_ops.h"
#include "higgs/model/lora_linear.h"

namespace higgs {
namespace {

// Adds up over rows: `values` [rows * G] -> [G].
at::Tensor by_group(const at::Tensor& values, std::int64_t groups, at::ScalarType type) {
  return values.view({-1, groups}).sum(0, /*keepdim=*/false, type);
}

class HeadLossFunction : public torch::autograd::Function<HeadLossFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const at::Tensor& hidden, const at::Tensor& stored_weight,
                                                const at::Tensor& targets, const at::Tensor& weights,
                                                bool with_gradient) {
    const at::Tensor weight = stored_weight.to(hidden.scalar_type());
    const std::int64_t n = hidden.size(0), groups = targets.size(1);
    const std::int64_t chunk = std::max<std::int64_t>(1, kLogitsAtATime / weight.size(0));
    at::Tensor sums = at::zeros({groups}, weights.options());
    at::Tensor correct = at::zeros({groups}, targets.options());
    at::Tensor d_hidden = with_gradient ? at::empty_like(hidden) : at::Tensor();
    for (std::int64_t first = 0; first < n; first += chunk) {
      const std::int64_t rows = std::min(chunk, n - first);
      at::Tensor logits =
          at::mm(hidden.narrow(0, first, rows), weight.t()).view({rows * groups, weight.size(0) / groups});
      const RowLosses losses =
          cross_entropy_(logits, targets.narrow(0, first, rows), with_gradient ? weights : at::Tensor());
      sums.add_(by_group(losses.losses, groups, at::kFloat));
      correct.add_(by_group(losses.correct, groups, at::kLong));
      if (!with_gradient) continue;
      at::Tensor part = d_hidden.narrow(0, first, rows);
      at::mm_out(part, logits.view({rows, weight.size(0)}), weight);
    }
    const at::Tensor total = sums.dot(weights);
    context->mark_non_differentiable({sums, correct});
    context->save_for_backward({d_hidden});
    return {total, sums, correct};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    const at::Tensor d_hidden = context->get_saved_variables()[0];
    return {d_hidden * grad_outputs[0].to(d_hidden.scalar_type()), {}, {}, {}, {}};
  }
};

HeadLoss composed_loss(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets,
                       const at::Tensor& weights) {
  const std::int64_t groups = targets.size(1);
  const at::Tensor logits =
      head.forward(hidden, {}).view({hidden.size(0) * groups, head.out_features() / groups}).to(at::kFloat);
  const at::Tensor flat = targets.flatten();
  const at::Tensor losses =
      at::cross_entropy_loss(logits, flat.clamp_min(0), {}, at::Reduction::None) * flat.ge(0);
  const at::Tensor sums = by_group(losses, groups, at::kFloat);
  return {sums.dot(weights), sums.detach(), by_group(logits.argmax(-1).eq(flat), groups, at::kLong)};
}

}  // namespace

HeadLoss head_loss(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets,
                   const at::Tensor& weights, bool composed) {
  HIGGS_ASSERT(targets.dim() == 2 && targets.size(0) == hidden.size(0) && weights.numel() == targets.size(1));
  HIGGS_ASSERT(head.out_features() % targets.size(1) == 0);
  const bool has_kernel = hidden.is_cpu() || has_cuda_kernels();
  if (composed || !has_kernel || head.has_adapter()) return composed_loss(hidden, head, targets, weights);
  const bool with_gradient = at::GradMode::is_enabled() && hidden.requires_grad();
  auto out = HeadLossFunction::apply(hidden.contiguous(), head.weight(), targets, weights, with_gradient);
  return {out[0], out[1], out[2]};
}

}  // namespace higgs
