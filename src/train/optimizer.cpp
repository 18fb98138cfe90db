#include "higgs/train/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace higgs {

AdamW::AdamW(at::Tensor values, at::Tensor grads, const AdamWOptions& options)
    : values_(std::move(values)),
      grads_(std::move(grads)),
      first_(at::zeros_like(values_)),
      second_(at::zeros_like(values_)),
      step_(at::zeros({}, values_.options())),
      options_(options) {}

void AdamW::step(double learning_rate, const at::Tensor& found_inf) {
  const at::NoGradGuard no_grad;
  step_ += 1;
  std::optional<at::Tensor> flag;
  if (found_inf.defined()) {
    step_ -= found_inf;
    flag = found_inf;
  }
  at::_fused_adamw_({values_}, {grads_}, {first_}, {second_}, {}, {step_}, learning_rate, options_.beta1,
                    options_.beta2, options_.weight_decay, options_.eps, /*amsgrad=*/false,
                    /*maximize=*/false, /*grad_scale=*/{}, flag);
  // The fused operator leaves the version as it was; what is kept for as long as the values stay (DoRA's
  // norms in evaluation) goes by it.
  values_.unsafeGetTensorImpl()->bump_version();
}

std::int64_t AdamW::num_steps() const {
  return static_cast<std::int64_t>(step_.item<float>());
}

void AdamW::set_num_steps(std::int64_t steps) {
  step_.fill_(static_cast<double>(steps));
}

at::Tensor clip_gradient(at::Tensor& grads, double max_norm) {
  const at::NoGradGuard no_grad;
  at::Tensor norm = grads.norm();
  if (max_norm > 0.0) grads.mul_((max_norm / (norm + 1e-6)).clamp_max(1.0));
  return norm;
}

double cosine_learning_rate(std::int64_t step, std::int64_t warmup, std::int64_t total, double peak) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  const double progress = std::min(1.0, static_cast<double>(step - warmup) / span);
  return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace higgs
