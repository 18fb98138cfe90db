// What needs a GPU: kernels against their CPU twins, training in bf16 and fp32 against the CPU, NCCL, the
// loader's copies, the smoke preset. `ctest -L gpu`; each test says why it was skipped where there is none.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include "higgs/data/batch_loader.h"
#include "higgs/dist/nccl.h"
#include "higgs/kernels/device.h"
#include "higgs/kernels/dropout.h"
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
