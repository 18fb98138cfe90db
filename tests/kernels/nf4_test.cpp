#include "higgs/kernels/nf4.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace higgs {
namespace {

// The levels as their definition gives them: 8 quantiles of the normal distribution at or above zero and 7
// below, from an offset that leaves the tails out, scaled to 1 (bitsandbytes' create_normal_map, offset
// 0.9677083).
double quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < p ? low : high) = middle;
  }
  return low;
}
std::vector<double> levels() {
  const double offset = 0.9677083;
  std::vector<double> values;
  for (int i = 0; i < 7; ++i) values.push_back(-quantile(offset + (0.5 - offset) * i / 7));
  values.push_back(0.0);
  for (int i = 7; i >= 0; --i) values.push_back(quantile(offset + (0.5 - offset) * i / 8));
  for (double& value : values) value /= values.back();
  return values;
}

// Each value by definition: the nearest level, times the block's magnitude.
TEST(Nf4, TakesTheNearestLevel) {
  const at::Tensor values = at::randn({5, 64, 3}) * 0.1;
  const at::Tensor flat = values.flatten();
  const Nf4 quantized = quantize_nf4(values);
  const at::Tensor back = dequantize_nf4(quantized, at::kFloat);
  EXPECT_EQ(back.sizes(), values.sizes());
  EXPECT_EQ(quantized.codes.numel(), values.numel() / 2);
  const std::vector<double> all = levels();
  ASSERT_EQ(all.size(), 16u);
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const at::Tensor block = flat.narrow(0, i / 64 * 64, 64);
    const double most = block.abs().max().item<double>(), value = flat[i].item<double>();
    EXPECT_EQ(quantized.absmax[i / 64].item<double>(), most);
    double best = 1e9;
    for (const double level : all) {
      if (std::abs(level * most - value) < std::abs(best - value)) best = level * most;
    }
    EXPECT_NEAR(back.flatten()[i].item<double>(), best, 1e-6 * most) << value;
  }
}

// A block that holds every level, and its codes two a byte: the first in the upper half.
TEST(Nf4, KeepsWhatHasALevel) {
  at::Tensor values = at::zeros({64});
  const std::vector<double> all = levels();
  for (int i = 0; i < 16; ++i) values[i] = all[static_cast<std::size_t>(i)] * 3.5;
  const Nf4 quantized = quantize_nf4(values);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(quantized.codes[i].item<int>(), (2 * i) << 4 | (2 * i + 1));
  EXPECT_EQ(quantized.codes[8].item<int>(), 7 << 4 | 7);  // zeros
  EXPECT_LT((dequantize_nf4(quantized, at::kFloat) - values).abs().max().item<float>(), 1e-5f);
  EXPECT_EQ(dequantize_nf4(quantize_nf4(at::zeros({128})), at::kFloat).abs().max().item<float>(), 0.0f);
}

// What bitsandbytes 0.50.2 makes of the same values: functional.quantize_4bit(values, blocksize=64,
// quant_type="nf4").
TEST(Nf4, CodesAreThoseOfBitsandbytes) {
  at::Tensor values = at::zeros({2, 64});
  for (int i = 0; i < 128; ++i) {
    const double u = (i * 7919 % 1000 - 500) / 500.0;
    values[i / 64][i % 64] = u * u * u;
  }
  const Nf4 quantized = quantize_nf4(values);
  std::string hex;
  for (int i = 0; i < 64; ++i) {
    const int code = quantized.codes[i].item<int>();
    hex += "0123456789abcdef"[code >> 4];
    hex += "0123456789abcdef"[code & 15];
  }
  EXPECT_EQ(hex,
            "0db9877776421ec9877776531eca8777776420db9877776521ec9877776531fc"
            "a8777776420db9877776521eca877776531fda8777776420eb9877776521eca8");
  EXPECT_EQ(quantized.absmax[0].item<float>(), 1.0f);
  EXPECT_EQ(quantized.absmax[1].item<float>(), 0.9644302725791931f);
}

TEST(Nf4, InBf16IsTheSameRounded) {
  const at::Tensor values = at::randn({64, 640}).to(at::kBFloat16);
  const Nf4 quantized = quantize_nf4(values), wide = quantize_nf4(values.to(at::kFloat));
  EXPECT_TRUE(quantized.codes.equal(wide.codes));
  EXPECT_TRUE(quantized.absmax.equal(wide.absmax));
  EXPECT_TRUE(
      dequantize_nf4(quantized, at::kBFloat16).equal(dequantize_nf4(wide, at::kFloat).to(at::kBFloat16)));
}

}  // namespace
}  // namespace higgs
