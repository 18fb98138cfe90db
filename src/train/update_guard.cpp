#include "higgs/train/update_guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace higgs {
namespace {

constexpr double kShare = 0.02;  // of a new norm in the mean
constexpr double kFewest = 20;   // norms seen before one is called a spike

}  // namespace

std::string verdict_text(Verdict verdict) {
  return verdict == Verdict::kNotFinite ? "not finite" : verdict == Verdict::kSpike ? "a spike" : "";
}

UpdateGuard::UpdateGuard(double spike_factor, at::Device device)
    : spike_factor_(spike_factor),
      mean_(at::zeros({}, at::TensorOptions(at::kDouble).device(device))),
      count_(at::zeros_like(mean_)) {}

at::Tensor UpdateGuard::judge(const at::Tensor& losses, const at::Tensor& norm) {
  const at::NoGradGuard no_grad;
  const at::Tensor wide = norm.to(at::kDouble);
  const at::Tensor finite = at::isfinite(losses).all().logical_and(at::isfinite(wide));
  at::Tensor verdict = finite.logical_not().to(at::kDouble);  // 0 or kNotFinite
  if (spike_factor_ <= 0.0) return verdict;
  const at::Tensor limit = mean_ * spike_factor_;
  const at::Tensor known = count_ >= kFewest;
  const at::Tensor spike = finite.logical_and(known).logical_and(wide > limit);
  verdict = verdict + spike.to(at::kDouble) * static_cast<double>(Verdict::kSpike);
  const at::Tensor counted = at::where(known, at::minimum(wide, limit), wide);
  // The first norms are averaged evenly, so that the mean doesn't hang on where it began.
  const at::Tensor share = (1.0 / (count_ + 1.0)).clamp_min(kShare);
  mean_ = at::where(finite, mean_ + (counted - mean_) * share, mean_);
  count_ = count_ + finite.to(at::kDouble);
  return verdict;
}

double UpdateGuard::mean() const {
  return mean_.item<double>();
}

std::int64_t UpdateGuard::count() const {
  return static_cast<std::int64_t>(count_.item<double>());
}

void UpdateGuard::set(double mean, std::int64_t count) {
  mean_.fill_(mean);
  count_.fill_(static_cast<double>(count));
}

}  // namespace higgs
