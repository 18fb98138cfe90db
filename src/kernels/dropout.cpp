// CPU twin of dropout.cu, and the differentiable operator over both.
#include "higgs/kernels/dropout.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace kernels {

std::uint32_t dropout_threshold(double p) {
  return static_cast<std::uint32_t>(p * 4294967296.0);
}

void dropout_cpu(const float* in, float* out, std::int64_t num_rows, std::int64_t num_features, double p,
                 std::uint64_t key, const std::int32_t* sample, const std::int32_t* position) {
  const std::uint32_t threshold = dropout_threshold(p);
  const float scale = static_cast<float>(1.0 / (1.0 - p));
  at::parallel_for(0, num_rows, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* x = in + row * num_features;
      float* y = out + row * num_features;
      for (std::int64_t feature = 0; feature < num_features; feature += 4) {
        const Philox4 words =
            philox4x32({{static_cast<std::uint32_t>(feature / 4), static_cast<std::uint32_t>(position[row]),
                         static_cast<std::uint32_t>(sample[row]), 0u}},
                       key);
        const std::int64_t lanes = std::min<std::int64_t>(4, num_features - feature);
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
          y[feature + lane] = words.word[lane] < threshold ? 0.0f : x[feature + lane] * scale;
        }
      }
    }
  });
}

}  // namespace kernels

namespace {

at::Tensor apply_mask(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  HIGGS_ASSERT(x.dim() == 2 && x.scalar_type() == at::kFloat && rows.sample.numel() == x.size(0));
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty_like(in);
  const auto* sample = rows.sample.const_data_ptr<std::int32_t>();
  const auto* position = rows.position.const_data_ptr<std::int32_t>();
  if (in.is_cuda()) {
#if defined(HIGGS_HAS_NVCC)
    // The kernel goes to the current device's legacy default stream, which is PyTorch's current one: no other
    // is ever made current here.
    const c10::DeviceGuard guard(in.device());
    const int status = kernels::dropout_cuda(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(),
                                             in.size(0), in.size(1), p, key, sample, position, nullptr);
    TORCH_CHECK(status == 0, "dropout kernel failed, CUDA error ", status);
#else
    throw RunError(
        "this build has no CUDA kernels; build with nvcc, or train with --lora_dropout 0 or --device cpu");
#endif
  } else {
    kernels::dropout_cpu(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(), in.size(0), in.size(1), p,
                         key, sample, position);
  }
  return out;
}

class DropoutFunction : public torch::autograd::Function<DropoutFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, double p,
                            std::int64_t key, const at::Tensor& sample, const at::Tensor& position) {
    context->saved_data["p"] = p;
    context->saved_data["key"] = key;
    context->save_for_backward({sample, position});
    return apply_mask(x, p, static_cast<std::uint64_t>(key), {sample, position});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grad_outputs) {
    const auto saved = context->get_saved_variables();
    const auto key = static_cast<std::uint64_t>(context->saved_data["key"].toInt());
    const double p = context->saved_data["p"].toDouble();
    return {apply_mask(grad_outputs[0], p, key, {saved[0], saved[1]}), {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows) {
  HIGGS_ASSERT(p >= 0.0 && p < 1.0);
  if (p == 0.0) return x;
  return DropoutFunction::apply(x, p, static_cast<std::int64_t>(key), rows.sample, rows.position);
}

}  // namespace higgs
