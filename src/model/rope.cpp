#include "higgs/model/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <numbers>

namespace higgs {

at::Tensor rope_frequencies(const ModelConfig& config) {
  const at::Tensor exponent = at::arange(0, config.head_dim, 2, at::kFloat) / config.head_dim;
  const at::Tensor frequency = 1.0 / at::pow(config.rope_theta, exponent);
  if (!config.rope_scaling) return frequency;
  const RopeScaling& scaling = *config.rope_scaling;
  const double low_wavelength = scaling.original_max_position / scaling.low_freq_factor;
  const double high_wavelength = scaling.original_max_position / scaling.high_freq_factor;
  const at::Tensor wavelength = 2.0 * std::numbers::pi / frequency;
  const at::Tensor slow = at::where(wavelength > low_wavelength, frequency / scaling.factor, frequency);
  const at::Tensor smooth = (scaling.original_max_position / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended = (1.0 - smooth) * slow / scaling.factor + smooth * slow;
  const at::Tensor between = (wavelength >= high_wavelength).logical_and(wavelength <= low_wavelength);
  return at::where(between, blended, slow);
}

RopeTable rope_table(const at::Tensor& frequencies, const at::Tensor& positions, at::ScalarType dtype) {
  const at::Tensor half = positions.to(at::kFloat).unsqueeze(1) * frequencies.unsqueeze(0);
  const at::Tensor angle = at::cat({half, half}, 1);
  return {angle.cos().to(dtype), angle.sin().to(dtype)};
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor rotated = at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
  return x * table.cos.unsqueeze(1) + rotated * table.sin.unsqueeze(1);
}

}  // namespace higgs
