// Losses, gradients and ten steps of training against boson_multimodal + peft (goldens boson/lora).
#include <ATen/TensorIndexing.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numbers>

#include "higgs/train/optimizer.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::at_real_positions;
using test::golden;
using test::load;
using test::relative_difference;

class BosonLora : public ::testing::Test {
 protected:
  BosonLora()
      : model(golden("boson/model/base"), at::kFloat, at::kCPU),
        adapter(model, golden("boson/lora/adapter_init")),
        batches(golden("boson/lora/microbatches.safetensors")) {}

  PackedBatch batch(int index) const {
    const ModelConfig& config = model.config();
    return pack(test::boson_batch(batches, "mb" + std::to_string(index) + "."),
                {*config.audio_in_token_id, *config.audio_out_token_id, config.num_codebooks, 0});
  }

  HiggsModel model;
  Adapter adapter;
  SafetensorsFile batches;
};

// Tolerances as in the README of the goldens hf: float32 against another order of the same sums.
TEST_F(BosonLora, LogitsAndLossesEqualTheReference) {
  const SafetensorsFile want(golden("boson/lora/forward.safetensors"));
  for (const auto& [mb, text_step, audio_step] : {std::tuple{0, 4, 16}, std::tuple{1, 16, 64}}) {
    const std::string prefix = "mb" + std::to_string(mb) + ".";
    const auto field = [&](const std::string& name) { return load(want, prefix + name); };
    const at::Tensor mask = field("attention_mask");
    const PackedBatch packed = batch(mb);
    const at::Tensor hidden = model.forward(packed);
    const at::Tensor text = model.text_logits(hidden);
    EXPECT_LT(relative_difference(at::logsumexp(text, -1), at_real_positions(field("logits_lse"), mask)),
              2e-5);
    EXPECT_LT(relative_difference(
                  text.index({Slice(), Slice(0, {}, text_step)}),
                  at_real_positions(field("logits_every_" + std::to_string(text_step) + "th"), mask)),
              2e-5);
    const at::Tensor audio = model.audio_logits(hidden.index_select(0, packed.audio_out_rows));
    EXPECT_LT(relative_difference(at::logsumexp(audio, -1), field("audio_logits_lse")), 2e-5);
    EXPECT_LT(relative_difference(audio.index({Ellipsis, Slice(0, {}, audio_step)}),
                                  field("audio_logits_every_" + std::to_string(audio_step) + "th")),
              2e-5);
    EXPECT_TRUE(packed.text_labels.equal(at_real_positions(field("expanded_labels"), mask)));
    LossMeter meter(8);
    meter.add(loss_sums(model, packed, hidden, true));
    const LossValues values = meter.values(test::counts_of(packed), {});
    EXPECT_NEAR(values.total, field("loss").item<double>(), 1e-5 * values.total);
    EXPECT_NEAR(values.text, field("text_loss").item<double>(), 1e-5 * values.text);
    for (int k = 0; k < 8; ++k) {
      EXPECT_NEAR(values.codebooks[k], field("audio_codebook_losses")[k].item<double>(),
                  1e-5 * values.codebooks[k]);
    }
  }
}

TEST_F(BosonLora, GradientsEqualTheReference) {
  for (const int mb : {0, 1}) {
    const SafetensorsFile want(golden("boson/lora/grads_mb" + std::to_string(mb) + ".safetensors"));
    adapter.grads().zero_();
    const PackedBatch packed = batch(mb);
    test::backward(model, packed, test::counts_of(packed));
    ASSERT_EQ(want.tensors().size(), adapter.tensors().size());
    for (const AdapterTensor& tensor : adapter.tensors()) {
      std::string key = tensor.key;  // ".lora_A.weight" is ".lora_A.default.weight" while training
      key.insert(key.rfind(".weight"), ".default");
      EXPECT_LT(relative_difference(tensor.grad, load(want, key)), 1e-4) << key;
    }
  }
}

// transformers' get_cosine_schedule_with_warmup: the first step has rate 0, unlike this program's own
// schedule.
double scheduled_rate(int step, int warmup, int total) {
  if (step < warmup) return 2e-4 * step / warmup;
  return 2e-4 * 0.5 * (1 + std::cos(std::numbers::pi * (step - warmup) / (total - warmup)));
}

// The reference normalises each micro-batch on its own and halves it, which is what differs from this
// program's trainer; forward, losses, gradients, clipping and AdamW are the trainer's.
TEST_F(BosonLora, TenStepsEqualTheReference) {
  AdamW optimizer(adapter.values(), adapter.grads(), {.weight_decay = 0.01});
  std::ifstream log(golden("boson/lora/train_log.jsonl"));
  int step = 0;
  for (std::string line; std::getline(log, line); ++step) {
    const Json want = parse_json(line, "train_log.jsonl");
    adapter.grads().zero_();
    double loss = 0;
    for (const Json& micro : want.at("micro")) {
      const PackedBatch packed = batch(micro.at("microbatch").get<int>());
      const double own = test::backward(model, packed, test::counts_of(packed), {}, {}, 0.5);
      EXPECT_NEAR(own, micro.at("loss").get<double>(), 1e-5 * own) << "step " << step;
      loss += own / 2;
    }
    const double norm = clip_gradient(adapter.grads(), 1.0).item<double>();
    EXPECT_NEAR(loss, want.at("loss").get<double>(), 1e-5 * loss) << "step " << step;
    EXPECT_NEAR(norm, want.at("grad_norm").get<double>(), 1e-5 * norm) << "step " << step;
    EXPECT_NEAR(scheduled_rate(step, 2, 10), want.at("lr").get<double>(), 1e-12);
    optimizer.step(scheduled_rate(step, 2, 10));
  }
  EXPECT_EQ(step, 10);
}

}  // namespace
}  // namespace higgs
