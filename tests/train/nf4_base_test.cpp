// A base whose linear maps are kept in four bits computes as one that holds their widened values.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "higgs/model/lora_linear.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;

struct Computed {
  at::Tensor hidden, gradient;
};

Computed compute(HiggsModel& model, bool reference, const LoraOptions& lora) {
  model.set_reference_path(reference);
  Adapter adapter(model, lora);
  {
    const at::NoGradGuard no_grad;
    at::Tensor& values = adapter.values();
    values.copy_(at::arange(values.numel(), at::kFloat).sin() * 0.05);
  }
  const auto tokenizer = load_tokenizer(model.folder());
  const SpecialIds ids = special_ids(model.config(), *tokenizer);
  const PackedBatch batch = test::batch_of(test::hf_samples(), {0, 1}, ids);
  const at::Tensor hidden = model.forward(batch).detach();
  test::backward(model, batch, test::counts_of(batch));
  return {hidden, adapter.grads().clone()};
}

class Nf4Base : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(FusedAndReference, Nf4Base, ::testing::Bool());

TEST_P(Nf4Base, ComputesWithTheWidenedValues) {
  HiggsModel quantized(golden("hf/model"), at::kFloat, at::kCPU, /*quantize=*/true);
  HiggsModel widened(golden("hf/model"), at::kFloat, at::kCPU),
      plain(golden("hf/model"), at::kFloat, at::kCPU);
  ASSERT_EQ(quantized.linears().size(), widened.linears().size());
  for (std::size_t i = 0; i < widened.linears().size(); ++i) {
    const LoraLinear& linear = *quantized.linears()[i];
    EXPECT_TRUE(linear.is_quantized()) << linear.path();
    widened.weight(linear.path() + ".weight").set_data(linear.weight());
  }
  for (const bool dora : {false, true}) {
    LoraOptions lora;
    lora.r = 4;
    lora.use_dora = dora;
    const Computed four_bits = compute(quantized, GetParam(), lora),
                   same = compute(widened, GetParam(), lora), whole = compute(plain, GetParam(), lora);
    EXPECT_TRUE(four_bits.hidden.equal(same.hidden));
    EXPECT_TRUE(four_bits.gradient.equal(same.gradient));
    EXPECT_FALSE(four_bits.hidden.equal(whole.hidden));
  }
}

TEST(Nf4Base, LeavesHeadsAndEmbeddingsAsTheyAre) {
  const HiggsModel quantized(golden("hf/model"), at::kFloat, at::kCPU, /*quantize=*/true),
      plain(golden("hf/model"), at::kFloat, at::kCPU);
  for (const char* name : {"embed_tokens.weight", "audio_embed.weight", "audio_lm_head.weight", "norm.weight",
                           "layers.0.input_layernorm.weight"}) {
    EXPECT_TRUE(quantized.weight(name).equal(plain.weight(name))) << name;
  }
  EXPECT_FALSE(quantized.weight("layers.0.mlp.up_proj.weight").defined());  // nothing can replace it
}

}  // namespace
}  // namespace higgs
