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

std::vector<ParameterGroup> parameter_groups(const Adapter& adapter, const std::vector<GroupValue>& rates,
                                             double lora_plus) {
  std::vector<ParameterGroup> groups;
  std::int64_t begin = 0;
  for (const AdapterTensor& tensor : adapter.tensors()) {
    const bool is_b = tensor.key.ends_with(".lora_B.weight");
    const double factor = value_of_module(rates, tensor.module).value_or(1.0) * (is_b ? lora_plus : 1.0);
    const std::int64_t end = begin + tensor.value.numel();
    if (!groups.empty() && groups.back().factor == factor) {
      groups.back().end = end;
    } else {
      groups.push_back({begin, end, factor});
    }
    begin = end;
  }
  return groups;
}

AdamW::AdamW(at::Tensor values, at::Tensor grads, const AdamWOptions& options,
             const std::vector<ParameterGroup>& groups)
    : values_(std::move(values)),
      grads_(std::move(grads)),
      first_(at::zeros_like(values_)),
      second_(at::zeros_like(values_)),
      step_(at::zeros({}, values_.options())),
      options_(options) {
  std::vector<ParameterGroup> all = groups;
  if (all.empty()) all.push_back({0, values_.numel(), 1.0});
  for (const ParameterGroup& group : all) {
    auto same = std::find_if(windows_.begin(), windows_.end(),
                             [&](const Windows& windows) { return windows.factor == group.factor; });
    if (same == windows_.end()) same = windows_.insert(same, Windows{group.factor, {}, {}, {}, {}});
    const std::int64_t size = group.end - group.begin;
    same->values.push_back(values_.narrow(0, group.begin, size));
    same->grads.push_back(grads_.narrow(0, group.begin, size));
    same->first.push_back(first_.narrow(0, group.begin, size));
    same->second.push_back(second_.narrow(0, group.begin, size));
  }
}

void AdamW::step(double learning_rate, const at::Tensor& found_inf) {
  const at::NoGradGuard no_grad;
  step_ += 1;
  std::optional<at::Tensor> flag;
  if (found_inf.defined()) {
    step_ -= found_inf;
    flag = found_inf;
  }
  for (Windows& windows : windows_) {
    const std::vector<at::Tensor> steps(windows.values.size(), step_);
    at::_fused_adamw_(windows.values, windows.grads, windows.first, windows.second, {}, steps,
                      windows.factor * learning_rate, options_.beta1, options_.beta2, options_.weight_decay,
                      options_.eps, /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, flag);
  }
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

double learning_rate(Schedule schedule, std::int64_t step, std::int64_t warmup, std::int64_t total,
                     double peak) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  const double progress = std::min(1.0, static_cast<double>(step - warmup) / span);
  switch (schedule) {
    case Schedule::kCosine:
      return peak * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    case Schedule::kLinear:
      return peak * (1.0 - progress);
    case Schedule::kConstant:
      break;
  }
  return peak;
}

}  // namespace higgs
