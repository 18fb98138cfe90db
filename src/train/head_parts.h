// What losses over a head share that go through its logits some rows at a time.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

namespace higgs {

// Rows whose logits are held together.
std::int64_t rows_at_a_time(std::int64_t num_logits);

// sum += y^T x, in float32: sum [V, D], y [n, V], x [n, D]. In bf16 a part of the rows at a time, the product
// being rounded before it is added.
void add_outer(at::Tensor& sum, const at::Tensor& y, const at::Tensor& x);

// For an autograd function whose forward pass has saved {d_hidden, d_weight}, undefined where nothing learns:
// these by the loss's own gradient, as the first two of `num_inputs`.
torch::autograd::variable_list head_gradients(torch::autograd::AutogradContext* context,
                                              const at::Tensor& grad_loss, std::size_t num_inputs);

}  // namespace higgs
