// What needs a GPU: kernels against their CPU twins, training in bf16 and fp32 against the CPU, NCCL, the
// loader's copies, the smoke preset. `ctest -L gpu`; each test says why it was skipped where there is none.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "higgs/data/batch_loader.h"
#include "higgs/dist/nccl.h"
#include "higgs/kernels/device.h"
#include "higgs/kernels/dropout.h"
#include "higgs/kernels/layer_ops.h"
#include "higgs/kernels/nf4.h"
#include "higgs/kernels/snake.h"
#include "support/process.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device.emplace(open_device("cuda"));
    } catch (const UserError& error) {
      GTEST_SKIP() << "no GPU here: " << error.what();
    }
  }
  std::optional<at::Device> device;
};

double relative_norm(const at::Tensor& a, const at::Tensor& b) {
  return at::linalg_vector_norm(a - b).item<double>() / at::linalg_vector_norm(b).item<double>();
}

TEST_F(Gpu, DropoutDropsWhatItsCpuTwinDrops) {
  if (!has_cuda_kernels()) GTEST_SKIP() << "this build has no CUDA kernels (nvcc was not found)";
  const at::Tensor x = at::rand({301, 130});
  const RowIndex rows{at::arange(301, at::kInt).remainder(7).to(at::kInt), at::arange(301, at::kInt)};
  const RowIndex there{rows.sample.to(*device), rows.position.to(*device)};
  for (const double p : {0.05, 0.5}) {
    EXPECT_TRUE(dropout(x.to(*device), p, 42, there).to(at::kCPU).equal(dropout(x, p, 42, rows))) << p;
  }
}

// Each fused kernel on the GPU against its CPU twin: the same sums, in another order.
TEST_F(Gpu, FusedOperationsComputeWhatTheirCpuTwinsDo) {
  if (!has_cuda_kernels()) GTEST_SKIP() << "this build has no CUDA kernels (nvcc was not found)";
  const auto there = [&](const at::Tensor& x) { return x.defined() ? x.to(*device) : x; };
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const double bound = type == at::kFloat ? 1e-6 : 5e-3;
    const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(type); };
    const auto expect_close = [&](const at::Tensor& gpu, const at::Tensor& cpu, const char* what) {
      EXPECT_LT(relative_norm(gpu.to(at::kCPU).to(at::kFloat), cpu.to(at::kFloat)), bound)
          << what << " " << type;
    };
    const at::Tensor x = random({37, 515}), rows = at::arange(36, -1, -2, at::kLong);
    const NormWeights weights{random({515}), random({515}), at::rand({37, 1}).gt(0.5), 1e-5};
    const NormWeights weights_there{there(weights.weight), there(weights.audio_weight),
                                    there(weights.is_audio), 1e-5};
    const Normed cpu = rms_norm(x, rows, weights), gpu = rms_norm(there(x), there(rows), weights_there);
    expect_close(gpu.y, cpu.y, "rms_norm");
    expect_close(rms_norm_again(there(x), there(rows), weights_there, gpu.rstd), cpu.y, "rms_norm_again");
    const at::Tensor d_y = random(cpu.y.sizes());
    at::Tensor d_x = random(x.sizes()), d_x_there = there(d_x).clone();
    rms_norm_backward(d_y, x, rows, weights, cpu.rstd, d_x);
    rms_norm_backward(there(d_y), there(x), there(rows), weights_there, there(cpu.rstd), d_x_there);
    expect_close(d_x_there, d_x, "rms_norm_backward");

    at::Tensor heads = random({37, 3, 12}), heads_there = there(heads).clone();
    const at::Tensor angle = at::rand({37, 6}).repeat({1, 2});
    const at::Tensor cos = angle.cos().to(type), sin = angle.sin().to(type);
    rotate_(heads, cos, sin, true);
    rotate_(heads_there, there(cos), there(sin), true);
    expect_close(heads_there, heads, "rotate_");

    const at::Tensor gate = random({37, 130}) * 3, up = random({37, 130}), d_out = random({37, 130});
    expect_close(swiglu(there(gate), there(up)), swiglu(gate, up), "swiglu");
    const SwigluGradients d = swiglu_backward(d_out, gate, up);
    const SwigluGradients d_there = swiglu_backward(there(d_out), there(gate), there(up));
    expect_close(d_there.gate, d.gate, "swiglu_backward, gate");
    expect_close(d_there.up, d.up, "swiglu_backward, up");

    at::Tensor sum = random({37, 515}), sum_there = there(sum).clone();
    const at::Tensor y = random({rows.numel(), 515});
    add_rows_(sum, rows, y);
    add_rows_(sum_there, there(rows), there(y));
    expect_close(sum_there, sum, "add_rows_");

    at::Tensor logits = random({48, 5000}), logits_there = there(logits).clone();
    const at::Tensor targets = at::arange(48, at::kLong) * 100 - 200, factors = at::rand({8});
    const RowLosses losses = cross_entropy_(logits, targets, factors);
    const RowLosses losses_there = cross_entropy_(logits_there, there(targets), there(factors));
    expect_close(losses_there.losses, losses.losses, "cross_entropy_");
    expect_close(logits_there, logits, "cross_entropy_, gradient");
    EXPECT_TRUE(losses_there.correct.to(at::kCPU).equal(losses.correct));

    const RowIndex index{at::zeros({37}, at::kInt), at::arange(37, at::kInt)};
    const RowIndex index_there{there(index.sample), there(index.position)};
    const at::Tensor in = at::randn({37, 515});
    add_dropped_(sum, in, 0.3, 4, index);
    add_dropped_(sum_there, there(in), 0.3, 4, index_there);
    expect_close(sum_there, sum, "add_dropped_");
  }
}

TEST_F(Gpu, Nf4IsThatOfItsCpuTwin) {
  if (!has_cuda_kernels()) GTEST_SKIP() << "this build has no CUDA kernels (nvcc was not found)";
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor values = at::randn({320, 130}).to(type);
    const Nf4 here = quantize_nf4(values), there = quantize_nf4(values.to(*device));
    EXPECT_TRUE(there.codes.to(at::kCPU).equal(here.codes));
    EXPECT_TRUE(there.absmax.to(at::kCPU).equal(here.absmax));
    EXPECT_TRUE(dequantize_nf4(there, type).to(at::kCPU).equal(dequantize_nf4(here, type)));
  }
}

TEST_F(Gpu, SnakeComputesWhatItsCpuTwinDoes) {
  if (!has_cuda_kernels()) GTEST_SKIP() << "this build has no CUDA kernels (nvcc was not found)";
  const at::Tensor x = at::randn({2, 5, 301}), alpha = at::rand({1, 5, 1}).add_(0.1);
  const at::Tensor there = snake(x.to(*device), alpha.to(*device), alpha.reciprocal().to(*device));
  EXPECT_LT(relative_norm(there.to(at::kCPU), snake(x, alpha, alpha.reciprocal())), 1e-6);
}

// The fused layers, LibTorch's varlen attention among them, against the composition of its operators.
TEST_F(Gpu, TheFusedPathIsTheReferencePathInBf16) {
  const auto gradient = [&](bool reference) {
    HiggsModel model(golden("hf/model"), at::kBFloat16, *device);
    model.set_reference_path(reference);
    Adapter adapter(model, golden("hf/adapter_lora"));
    const PackedBatch batch =
        test::batch_of(test::hf_samples(), {0, 1, 2, 3}, special_ids(model.config())).to(*device);
    ForwardOptions options;
    options.only_targets = true;
    adapter.grads().zero_();
    batch_loss(model, batch, model.forward(batch, options), loss_weights(test::counts_of(batch), {}, *device),
               true)
        .total.backward();
    return adapter.grads().to(at::kCPU).clone();
  };
  EXPECT_LT(relative_norm(gradient(false), gradient(true)), 3e-2);
}

// Losses and gradients of a step with dropout on, on one device and in one type.
struct StepResult {
  double loss = 0;
  at::Tensor gradient;
};

StepResult step_on(at::Device device, at::ScalarType dtype) {
  HiggsModel model(golden("hf/model"), dtype, device);
  Adapter adapter(model, golden("hf/adapter_lora"));
  const SpecialIds ids = special_ids(model.config());
  const PackedBatch batch = test::batch_of(test::hf_samples(), {0, 1, 2, 3}, ids).to(device);
  ForwardOptions forward;
  forward.dropout_p = has_cuda_kernels() ? 0.3 : 0.0;
  forward.dropout_key = 77;
  adapter.grads().zero_();
  StepResult result;
  result.loss = test::backward(model, batch, test::counts_of(batch), {}, forward);
  result.gradient = adapter.grads().to(at::kCPU).clone();
  return result;
}

// fp32 on a GPU: the same sums in another order, if TF32 is off.
TEST_F(Gpu, AStepInFloat32IsTheCpus) {
  const StepResult cpu = step_on(at::kCPU, at::kFloat), gpu = step_on(*device, at::kFloat);
  EXPECT_NEAR(gpu.loss, cpu.loss, 1e-5 * cpu.loss);
  EXPECT_LT(relative_norm(gpu.gradient, cpu.gradient), 1e-4);
}

// bf16: its own rounding, 2^-8 a value, through a handful of layers.
TEST_F(Gpu, AStepInBf16IsTheCpusWithinItsRounding) {
  const StepResult exact = step_on(at::kCPU, at::kFloat), gpu = step_on(*device, at::kBFloat16);
  EXPECT_NEAR(gpu.loss, exact.loss, 2e-2 * exact.loss);
  EXPECT_LT(relative_norm(gpu.gradient, exact.gradient), 0.1);
}

TEST_F(Gpu, NcclSumsOverOneRank) {
  Nccl nccl(Nccl::make_id(), 0, 1, *device);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong, at::kBFloat16}) {
    at::Tensor numbers =
        at::arange(1000, at::TensorOptions(at::kLong).device(*device)).remainder(100).to(type);
    const at::Tensor before = numbers.clone();
    nccl.sum(numbers);
    EXPECT_TRUE(numbers.equal(before)) << type;
  }
}

TEST_F(Gpu, ProgramTrainsTheSmokePreset) {
  const test::TemporaryFolder folder;
  const fs::path root = test::source_dir();
  if (!fs::exists(root / "demo")) GTEST_SKIP() << "the demo is not here";
  const auto result = test::run_process(
      {"sh", "-c",
       "cd '" + root.string() + "' && exec '" + test::program().string() +
           "' train --config configs/smoke.toml --device cuda --overwrite --output_dir '" +
           (folder / "out").string() + "' --cache_dir '" + (folder / "codes").string() + "'"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("step 5/5"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("on cuda"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace higgs
