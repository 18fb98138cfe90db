// Decides on the device, without the host waiting for it, whether an optimizer step is taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace higgs {

enum class Verdict { kTaken = 0, kNotFinite = 1, kSpike = 2 };
// "not finite", "a spike"; "" for kTaken.
std::string verdict_text(Verdict verdict);

// Every rank judges the same sums, so all come to the same verdict.
class UpdateGuard {
 public:
  // A gradient whose norm is more than `spike_factor` times the running mean of the norms is left out; 0:
  // never.
  UpdateGuard(double spike_factor, at::Device device);

  // `losses`: any shape; `norm`: scalar. Returns a Verdict as a double scalar on the device.
  at::Tensor judge(const at::Tensor& losses, const at::Tensor& norm);

  // Mean of the norms (each step moves it by a fiftieth; a spike counts as spike_factor times the mean, so
  // that norms that stay high are let through before long) and how many it is of; spikes are called from the
  // twentieth on. For checkpoints; waits for the device.
  double mean() const;
  std::int64_t count() const;
  void set(double mean, std::int64_t count);

 private:
  double spike_factor_;
  at::Tensor mean_, count_;  // double scalars
};

}  // namespace higgs
