#include "higgs/train/head_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "head_parts.h"
#include "higgs/base/error.h"
#include "higgs/kernels/device.h"
#include "higgs/kernels/layer_ops.h"
#include "higgs/model/lora_linear.h"

namespace higgs {

std::int64_t rows_at_a_time(std::int64_t num_logits) {
  return std::max<std::int64_t>(1, kLogitsAtATime / num_logits);
}

void add_outer(at::Tensor& sum, const at::Tensor& y, const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat) {
    sum.addmm_(y.t(), x);
    return;
  }
  const std::int64_t part = rows_at_a_time(sum.size(1));
  for (std::int64_t first = 0; first < sum.size(0); first += part) {
    const std::int64_t rows = std::min(part, sum.size(0) - first);
    sum.narrow(0, first, rows).add_(at::mm(y.narrow(1, first, rows).t(), x));
  }
}

torch::autograd::variable_list head_gradients(torch::autograd::AutogradContext* context,
                                              const at::Tensor& grad_loss, std::size_t num_inputs) {
  const auto saved = context->get_saved_variables();
  torch::autograd::variable_list gradients(num_inputs);
  if (saved[0].defined()) gradients[0] = saved[0] * grad_loss.to(saved[0].scalar_type());
  if (saved[1].defined())
    gradients[1] = saved[1].mul_(grad_loss);  // in place: it may be as large as the vocabulary
  return gradients;
}

namespace {

// Adds up over rows: `values` [rows * G] -> [G].
at::Tensor by_group(const at::Tensor& values, std::int64_t groups) {
  return values.view({-1, groups}).sum(0);
}

class HeadLossFunction : public torch::autograd::Function<HeadLossFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const at::Tensor& hidden,
                                                const std::optional<at::Tensor>& trained,
                                                const at::Tensor& stored_weight, const at::Tensor& targets,
                                                const at::Tensor& weights, bool by_hidden, bool by_weight) {
    const bool with_gradient = by_hidden || by_weight;
    const at::Tensor weight = stored_weight.to(hidden.scalar_type());
    const std::int64_t n = hidden.size(0), groups = targets.size(1);
    const std::int64_t chunk = rows_at_a_time(weight.size(0));
    at::Tensor sums = at::zeros({groups}, weights.options());
    at::Tensor d_hidden = by_hidden ? at::empty_like(hidden) : at::Tensor();
    at::Tensor d_weight = by_weight ? at::zeros_like(*trained) : at::Tensor();
    for (std::int64_t first = 0; first < n; first += chunk) {
      const std::int64_t rows = std::min(chunk, n - first);
      at::Tensor logits =
          at::mm(hidden.narrow(0, first, rows), weight.t()).view({rows * groups, weight.size(0) / groups});
      const RowLosses losses =
          cross_entropy_(logits, targets.narrow(0, first, rows), with_gradient ? weights : at::Tensor());
      sums.add_(by_group(losses.losses, groups));
      if (!with_gradient) continue;
      const at::Tensor d_logits = logits.view({rows, weight.size(0)});
      if (by_weight) add_outer(d_weight, d_logits, hidden.narrow(0, first, rows));
      if (!by_hidden) continue;
      at::Tensor part = d_hidden.narrow(0, first, rows);
      at::mm_out(part, d_logits, weight);
    }
    const at::Tensor total = sums.dot(weights);
    context->mark_non_differentiable({sums});
    context->save_for_backward({d_hidden, d_weight});
    return {total, sums};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    return head_gradients(context, grad_outputs[0], 7);
  }
};

// [n, D] -> float32 [n * G, K]
at::Tensor composed_logits(const at::Tensor& hidden, LoraLinear& head, std::int64_t groups) {
  return head.forward(hidden, {})
      .view({hidden.size(0) * groups, head.out_features() / groups})
      .to(at::kFloat);
}

at::Tensor composed_losses(const at::Tensor& logits, const at::Tensor& targets) {
  return at::cross_entropy_loss(logits, targets.clamp_min(0), {}, at::Reduction::None) * targets.ge(0);
}

HeadLoss composed_loss(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets,
                       const at::Tensor& weights) {
  const std::int64_t groups = targets.size(1);
  const at::Tensor logits = composed_logits(hidden, head, groups);
  const at::Tensor sums = by_group(composed_losses(logits, targets.flatten()), groups);
  return {sums.dot(weights), sums.detach()};
}

// logits: [m, K]; targets: [m] -> bool [m]. What isn't a number is never among them.
at::Tensor in_top(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor own = logits.gather(1, targets.clamp_min(0).unsqueeze(1));
  return logits.le(own).sum(1).gt(logits.size(1) - kTop).logical_and(targets.ge(0));
}

bool runs_composed(const at::Tensor& hidden, const LoraLinear& head, bool composed) {
  const bool has_kernel = hidden.is_cpu() || has_cuda_kernels();
  return composed || !has_kernel || head.has_adapter();
}

}  // namespace

HeadLoss head_loss(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets,
                   const at::Tensor& weights, bool composed) {
  HIGGS_ASSERT(targets.dim() == 2 && targets.size(0) == hidden.size(0) && weights.numel() == targets.size(1));
  HIGGS_ASSERT(head.out_features() % targets.size(1) == 0);
  if (runs_composed(hidden, head, composed)) return composed_loss(hidden, head, targets, weights);
  const bool with_gradient = at::GradMode::is_enabled();
  const std::optional<at::Tensor> trained =
      head.trained().defined() ? std::optional(head.trained()) : std::nullopt;
  auto out =
      HeadLossFunction::apply(hidden.contiguous(), trained, head.weight(), targets, weights,
                              with_gradient && hidden.requires_grad(), with_gradient && trained.has_value());
  return {out[0], out[1]};
}

HeadScores head_scores(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets, bool composed) {
  HIGGS_ASSERT(targets.dim() == 2 && targets.size(0) == hidden.size(0));
  HIGGS_ASSERT(head.out_features() % targets.size(1) == 0);
  const at::NoGradGuard no_grad;
  const bool by_operators = runs_composed(hidden, head, composed);
  const at::Tensor weight = by_operators ? at::Tensor() : head.weight().to(hidden.scalar_type());
  const std::int64_t n = hidden.size(0), groups = targets.size(1);
  const std::int64_t chunk = rows_at_a_time(head.out_features());
  HeadScores scores{at::zeros(targets.sizes(), hidden.options().dtype(at::kFloat)),
                    at::zeros(targets.sizes(), targets.options().dtype(at::kBool)),
                    at::zeros(targets.sizes(), targets.options().dtype(at::kBool))};
  for (std::int64_t first = 0; first < n; first += chunk) {
    const std::int64_t rows = std::min(chunk, n - first);
    const at::Tensor part = hidden.narrow(0, first, rows);
    const at::Tensor wanted = targets.narrow(0, first, rows).flatten();
    const auto put = [&](at::Tensor& all, const at::Tensor& values) {
      all.narrow(0, first, rows).copy_(values.view({rows, groups}));
    };
    at::Tensor logits = by_operators
                            ? composed_logits(part, head, groups)
                            : at::mm(part, weight.t()).view({rows * groups, weight.size(0) / groups});
    if (by_operators) {
      put(scores.losses, composed_losses(logits, wanted));
      put(scores.top1, logits.argmax(-1).eq(wanted));
    } else {
      const RowLosses losses = cross_entropy_(logits, wanted, {});
      put(scores.losses, losses.losses);
      put(scores.top1, losses.correct);
    }
    put(scores.top10, in_top(logits, wanted));
  }
  return scores;
}

}  // namespace higgs
