#include "higgs/train/replay.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "head_parts.h"
#include "higgs/base/error.h"
#include "higgs/model/lora_linear.h"

namespace higgs {
namespace {

// Logits, log-probabilities, probabilities and gradient of two models stand beside each other.
constexpr std::int64_t kTensorsAtATime = 4;

// Log-probabilities: [n, G * K] -> float32 [n * G, K]
at::Tensor by_distribution(const at::Tensor& logits, std::int64_t groups) {
  return at::log_softmax(logits.view({logits.size(0) * groups, logits.size(1) / groups}), -1, at::kFloat);
}

// [n, D], [G * K, D] -> float32 [n * G, K]
at::Tensor log_probabilities(const at::Tensor& hidden, const at::Tensor& weight, std::int64_t groups) {
  return by_distribution(at::linear(hidden, weight.to(hidden.scalar_type())), groups);
}

// float32 [n * G]: KL(q || p), 0 without target.
at::Tensor divergences(const at::Tensor& log_q, const at::Tensor& log_p, const at::Tensor& has_target) {
  return (log_q.exp() * (log_q - log_p)).sum(1) * has_target;
}

class DivergenceFunction : public torch::autograd::Function<DivergenceFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const at::Tensor& hidden,
                                                const std::optional<at::Tensor>& trained,
                                                const at::Tensor& stored_weight,
                                                const at::Tensor& base_hidden, const at::Tensor& base_weight,
                                                const at::Tensor& targets, const at::Tensor& weights,
                                                bool by_hidden, bool by_weight) {
    const at::Tensor weight = stored_weight.to(hidden.scalar_type());
    const std::int64_t n = hidden.size(0), groups = targets.size(1), num_logits = weight.size(0);
    const std::int64_t chunk = rows_at_a_time(kTensorsAtATime * num_logits);
    at::Tensor sums = at::zeros({groups}, weights.options());
    at::Tensor d_hidden = by_hidden ? at::empty_like(hidden) : at::Tensor();
    at::Tensor d_weight = by_weight ? at::zeros_like(*trained) : at::Tensor();
    for (std::int64_t first = 0; first < n; first += chunk) {
      const std::int64_t rows = std::min(chunk, n - first);
      const at::Tensor has_target = targets.narrow(0, first, rows).ge(0);  // [rows, G]
      at::Tensor log_p = log_probabilities(hidden.narrow(0, first, rows), weight, groups);
      const at::Tensor log_q = log_probabilities(base_hidden.narrow(0, first, rows), base_weight, groups);
      sums.add_(divergences(log_q, log_p, has_target.flatten()).view({rows, groups}).sum(0));
      if (!by_hidden && !by_weight) continue;
      const at::Tensor d_logits = log_p.exp_()
                                      .sub_(log_q.exp())
                                      .mul_((has_target * weights).view({rows * groups, 1}))
                                      .view({rows, num_logits})
                                      .to(hidden.scalar_type());
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
    return head_gradients(context, grad_outputs[0], 9);
  }
};

}  // namespace

BaseOutput base_output(HiggsModel& model, Adapter& adapter, const PackedBatch& batch) {
  const at::NoGradGuard no_grad;
  const WithoutAdapter off(adapter);
  ForwardOptions forward;
  forward.only_targets = true;
  BaseOutput out{model.forward(batch, forward), model.audio_head().detach(), {}};
  // Other handles than the model's, which hold the adapter's tensors again afterwards.
  if (model.has_text_head()) out.text_head = model.text_head().detach();
  return out;
}

HeadLoss head_divergence(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& base_hidden,
                         const at::Tensor& base_weight, const at::Tensor& targets, const at::Tensor& weights,
                         bool composed) {
  HIGGS_ASSERT(targets.dim() == 2 && targets.size(0) == hidden.size(0) && weights.numel() == targets.size(1));
  HIGGS_ASSERT(base_hidden.sizes() == hidden.sizes() && !head.has_adapter());
  const std::int64_t groups = targets.size(1);
  if (composed) {
    const at::Tensor log_p = by_distribution(head.forward(hidden, {}), groups);
    const at::Tensor log_q = log_probabilities(base_hidden, base_weight, groups);
    const at::Tensor sums = divergences(log_q, log_p, targets.ge(0).flatten()).view({-1, groups}).sum(0);
    return {sums.dot(weights), sums.detach()};
  }
  const bool with_gradient = at::GradMode::is_enabled();
  const std::optional<at::Tensor> trained =
      head.trained().defined() ? std::optional(head.trained()) : std::nullopt;
  auto out = DivergenceFunction::apply(hidden.contiguous(), trained, head.weight(), base_hidden, base_weight,
                                       targets, weights, with_gradient && hidden.requires_grad(),
                                       with_gradient && trained.has_value());
  return {out[0], out[1]};
}

BatchLoss replay_loss(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                      const BaseOutput& base, const LossWeights& weights, bool with_text) {
  const auto heads = model.heads();  // audio, then text where there is one
  const auto divergence = [&](std::size_t head, const at::Tensor& slots, const at::Tensor& base_weight,
                              const at::Tensor& targets, const at::Tensor& factors) {
    return head_divergence(hidden.index_select(0, slots), *heads.at(head), base.hidden.index_select(0, slots),
                           base_weight, targets, factors, model.reference_path());
  };
  const HeadLoss audio =
      divergence(0, batch.audio_target_slots, base.audio_head, batch.audio_targets, weights.audio);
  BatchLoss loss{audio.total, {at::zeros({}, audio.sums.options()), audio.sums}};
  if (with_text && batch.num_text_targets > 0) {
    const HeadLoss text =
        divergence(1, batch.text_target_slots, base.text_head, batch.text_targets.unsqueeze(1), weights.text);
    loss.total = loss.total + text.total;
    loss.sums.text = text.sums.squeeze(0);
  }
  return loss;
}

}  // namespace higgs
