// Frozen linear maps that read the same input, with their LoRA adapters: forward and backward by hand. As
// model/lora_linear.h without DoRA; what is kept for the backward pass is A x of each (r values a row).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "higgs/kernels/dropout.h"
#include "higgs/model/lora_linear.h"

namespace higgs {

// LoRA dropout of some rows; holds the rows' index, unlike DropoutContext, since the backward pass needs it
// again.
struct KeptDropout {
  double p = 0.0;
  std::uint64_t key = 0;
  RowIndex rows;
};

class FusedLinears {
 public:
  explicit FusedLinears(std::vector<const LoraLinear*> linears) : linears_(std::move(linears)) {}

  // A and B of those that have an adapter, in their order.
  void append_parameters(std::vector<at::Tensor>& out) const;

  struct Outputs {
    std::vector<at::Tensor> y;         // of each: [N, out], in x's dtype
    std::vector<at::Tensor> low_rank;  // A dropout(x) of each: float32 [N, r]; undefined without adapter
  };
  // x: [N, in]
  Outputs forward(const at::Tensor& x, const KeptDropout& dropout) const;

  // d_y: of each; x: as given to forward(). Appends the gradients of append_parameters() to `grads`. Returns
  // the gradient by x, undefined unless `wanted`.
  at::Tensor backward(const std::vector<at::Tensor>& d_y, const at::Tensor& x,
                      const std::vector<at::Tensor>& low_rank, const KeptDropout& dropout, bool wanted,
                      std::vector<at::Tensor>& grads) const;

 private:
  std::vector<const LoraLinear*> linears_;
};

}  // namespace higgs
