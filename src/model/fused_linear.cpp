#include "fused_linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>

#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

// y += x w, computed in float32 and rounded to y's dtype.
void add_product(at::Tensor& y, const at::Tensor& x, const at::Tensor& w, double scale) {
  if (y.scalar_type() == at::kFloat) {
    y.addmm_(x, w, 1.0, scale);
  } else {
    y.add_(at::mm(x, w), scale);
  }
}

}  // namespace

void FusedLinears::append_parameters(std::vector<at::Tensor>& out) const {
  for (const LoraLinear* linear : linears_) {
    if (!linear->has_adapter()) continue;
    out.push_back(linear->a());
    out.push_back(linear->b());
  }
}

FusedLinears::Outputs FusedLinears::forward(const at::Tensor& x, const KeptDropout& dropout) const {
  Outputs out;
  at::Tensor input;  // of A
  for (const LoraLinear* linear : linears_) {
    const at::Tensor weight = linear->weight().to(x.scalar_type());
    at::Tensor y = x.size(0) == 1 ? at::mv(weight, x[0]).unsqueeze(0) : at::mm(x, weight.t());
    at::Tensor low_rank;
    if (linear->has_adapter()) {
      if (!input.defined()) input = x.to(at::kFloat);
      const at::Tensor dropped_input =
          dropout.p > 0.0 ? dropped(input, dropout.p, mix_key(dropout.key, linear->path_key()), dropout.rows)
                          : input;
      low_rank = at::mm(dropped_input, linear->a().t());
      add_product(y, low_rank, linear->b().t(), linear->scaling());
    }
    out.y.push_back(std::move(y));
    out.low_rank.push_back(std::move(low_rank));
  }
  return out;
}

at::Tensor FusedLinears::backward(const std::vector<at::Tensor>& d_y, const at::Tensor& x,
                                  const std::vector<at::Tensor>& low_rank, const KeptDropout& dropout,
                                  bool wanted, std::vector<at::Tensor>& grads) const {
  at::Tensor d_x;
  const at::Tensor input = x.to(at::kFloat);
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    const LoraLinear& linear = *linears_[i];
    if (wanted) {
      const at::Tensor weight = linear.weight().to(x.scalar_type());
      if (d_x.defined()) {
        d_x.addmm_(d_y[i], weight);
      } else {
        d_x = at::mm(d_y[i], weight);
      }
    }
    if (!linear.has_adapter()) continue;
    const at::Tensor d_out = d_y[i].to(at::kFloat);
    const at::Tensor d_low = at::mm(d_out, linear.b()).mul_(linear.scaling());
    const at::Tensor d_b = at::mm(d_out.t(), low_rank[i]).mul_(linear.scaling());
    if (dropout.p > 0.0) {
      const std::uint64_t key = mix_key(dropout.key, linear.path_key());
      grads.push_back(at::mm(d_low.t(), dropped(input, dropout.p, key, dropout.rows)));
      if (wanted) add_dropped_(d_x, at::mm(d_low, linear.a()), dropout.p, key, dropout.rows);
    } else {
      grads.push_back(at::mm(d_low.t(), input));
      if (wanted) add_product(d_x, d_low, linear.a(), 1.0);
    }
    grads.push_back(d_b);
  }
  return d_x;
}

}  // namespace higgs
