#include "higgs/model/lora_weight.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>

namespace higgs {
namespace {

constexpr std::int64_t kBlock = 1024;  // rows; a block of the largest matrix takes 32 MiB

// Calls `use(first, rows of W + s B A)` block by block.
template <typename Use>
void for_each_block(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling,
                    Use use) {
  const at::NoGradGuard no_grad;
  const at::Tensor wide_a = a.to(at::kFloat), wide_b = b.to(at::kFloat);
  for (std::int64_t first = 0; first < weight.size(0); first += kBlock) {
    const std::int64_t rows = std::min(kBlock, weight.size(0) - first);
    use(first,
        weight.narrow(0, first, rows).to(at::kFloat) + wide_b.narrow(0, first, rows).mm(wide_a) * scaling);
  }
}

}  // namespace

at::Tensor dora_norm(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  at::Tensor norm = at::empty({weight.size(0)}, weight.options().dtype(at::kFloat));
  for_each_block(weight, a, b, scaling, [&](std::int64_t first, const at::Tensor& rows) {
    norm.narrow(0, first, rows.size(0)).copy_(at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}));
  });
  return norm;
}

at::Tensor merged_weight(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling,
                         const at::Tensor& magnitude) {
  at::Tensor merged = at::empty(weight.sizes(), weight.options().dtype(at::kFloat));
  const at::Tensor wide_magnitude = magnitude.defined() ? magnitude.to(at::kFloat) : magnitude;
  for_each_block(weight, a, b, scaling, [&](std::int64_t first, const at::Tensor& rows) {
    at::Tensor out = merged.narrow(0, first, rows.size(0));
    if (!wide_magnitude.defined()) {
      out.copy_(rows);
      return;
    }
    const at::Tensor norm = at::linalg_vector_norm(rows, 2, at::IntArrayRef{1});
    out.copy_((wide_magnitude.narrow(0, first, rows.size(0)) / norm).unsqueeze(1) * rows);
  });
  return merged;
}

}  // namespace higgs
