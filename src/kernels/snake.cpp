#include "higgs/kernels/snake.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>

#include "call.h"
#include "higgs/kernels/device.h"

namespace higgs {

at::Tensor snake(const at::Tensor& x, const at::Tensor& alpha, const at::Tensor& reciprocal) {
  HIGGS_ASSERT(x.dim() == 3 && alpha.numel() == x.size(1) && reciprocal.numel() == x.size(1));
  if (!x.is_contiguous() || (x.is_cuda() && !has_cuda_kernels())) {
    return x + (x * alpha).sin_().square_().mul_(reciprocal);
  }
  at::Tensor y = at::empty_like(x);
  kernels::SnakeArgs args{};
  args.num_rows = x.size(0) * x.size(1);
  args.num_channels = x.size(1);
  args.num_steps = x.size(2);
  args.x = x.const_data_ptr<float>();
  args.alpha = alpha.const_data_ptr<float>();
  args.reciprocal = reciprocal.const_data_ptr<float>();
  args.y = y.mutable_data_ptr<float>();
  HIGGS_CALL(x, snake, args);
  return y;
}

}  // namespace higgs
