// The activation of DAC (Kumar et al. 2023), from Ziyin et al. 2020.
#pragma once

#include <ATen/core/Tensor.h>

namespace higgs {

// x + reciprocal * sin(alpha x)^2 in one pass. x: float32 [B, C, T]; alpha and reciprocal: [1, C, 1], the
// second 1 / (alpha + 1e-9). No autograd.
at::Tensor snake(const at::Tensor& x, const at::Tensor& alpha, const at::Tensor& reciprocal);

}  // namespace higgs
