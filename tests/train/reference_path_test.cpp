// The fused layers and head losses against the composition of torch's operators that --reference_path
// computes: losses, gradients and hidden states, over all that decides which code runs.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "higgs/model/lora_linear.h"
#include "higgs/train/head_loss.h"
#include "support/sanitizer.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;

double relative(const at::Tensor& a, const at::Tensor& b) {
  const double difference = at::linalg_vector_norm(a - b).item<double>();
  return difference == 0.0 ? 0.0 : difference / at::linalg_vector_norm(b).item<double>();
}

struct Computed {
  double total;
  at::Tensor text, audio, gradient, hidden;
  BatchScores scores;
};

Computed compute(HiggsModel& model, Adapter& adapter, const PackedBatch& batch, bool reference,
                 double dropout) {
  model.set_reference_path(reference);
  ForwardOptions options;
  options.dropout_p = dropout;
  options.dropout_key = 9;
  options.only_targets = true;
  adapter.grads().zero_();
  ObjectiveOptions objective;
  objective.text_weight = 0.7;
  const at::Tensor hidden = model.forward(batch, options);
  const BatchLoss loss =
      batch_loss(model, batch, hidden, loss_weights(test::counts_of(batch), objective, at::kCPU), true);
  loss.total.backward();
  const BatchScores scores = batch_scores(model, batch, hidden.detach(), true);
  model.set_reference_path(false);
  return {loss.total.item<double>(), loss.sums.text.detach().clone(), loss.sums.audio.detach().clone(),
          adapter.grads().clone(),   hidden.detach().to(at::kFloat),  scores};
}

// float32: another order of sums. bf16: sums near the middle between two values are rounded the other way,
// here and there, through a handful of layers.
struct Bounds {
  double loss, gradient, hidden;
};

void expect_equal(HiggsModel& model, Adapter& adapter, const PackedBatch& batch, double dropout,
                  const Bounds& bounds) {
  const Computed fused = compute(model, adapter, batch, false, dropout);
  const Computed plain = compute(model, adapter, batch, true, dropout);
  EXPECT_NEAR(fused.total, plain.total, bounds.loss * plain.total);
  EXPECT_NEAR(fused.text.item<double>(), plain.text.item<double>(), bounds.loss * plain.text.item<double>());
  EXPECT_TRUE(fused.scores.audio.top1.equal(plain.scores.audio.top1));
  EXPECT_TRUE(fused.scores.audio.top10.equal(plain.scores.audio.top10));
  for (const Computed* one : {&fused, &plain}) {
    EXPECT_LT(relative(one->scores.audio.losses.sum(0), one->audio), bounds.loss);
    if (batch.num_text_targets == 0) continue;
    EXPECT_LT(relative(one->scores.text.sum(), one->text), bounds.loss);
  }
  EXPECT_LT(relative(fused.audio, plain.audio), bounds.loss);
  EXPECT_LT(relative(fused.hidden, plain.hidden), bounds.hidden);
  EXPECT_GT(at::linalg_vector_norm(plain.gradient).item<double>(), 0.0);
  EXPECT_LT(relative(fused.gradient, plain.gradient), bounds.gradient);
  for (const AdapterTensor& tensor : adapter.tensors()) {  // none may hide behind the large ones
    const std::int64_t begin = tensor.grad.storage_offset();
    const at::Tensor a = fused.gradient.narrow(0, begin, tensor.grad.numel());
    const at::Tensor b = plain.gradient.narrow(0, begin, tensor.grad.numel());
    EXPECT_LT(relative(a, b), 5 * bounds.gradient) << tensor.key;
  }
}

// Gradients: 3.0e-6 measured, with rsLoRA's larger scale; 7.7e-6 under the address sanitizer, whose build
// takes sums value by value instead of in vectors.
const Bounds kFloat32{1e-6, test::kUnderSanitizer ? 1e-5 : 5e-6, 2e-6};

TEST(ReferencePath, IsWhatTheFusedOneComputes) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  Adapter adapter(model, golden("hf/adapter_lora"));
  const SpecialIds ids = special_ids(model.config());
  for (const std::vector<std::size_t>& which :
       std::vector<std::vector<std::size_t>>{{0}, {1, 2}, {0, 1, 2, 3, 4, 5}}) {
    const PackedBatch batch = test::batch_of(test::hf_samples(), which, ids);
    for (const double dropout : {0.0, 0.3}) expect_equal(model, adapter, batch, dropout, kFloat32);
  }
}

TEST(ReferencePath, IsWhatTheFusedOneComputesInBf16) {
  HiggsModel model(golden("hf/model"), at::kBFloat16, at::kCPU);
  Adapter adapter(model, golden("hf/adapter_lora"));
  const PackedBatch batch = test::batch_of(test::hf_samples(), {0, 1, 2}, special_ids(model.config()));
  for (const double dropout : {0.0, 0.3}) expect_equal(model, adapter, batch, dropout, {2e-3, 3e-2, 1e-2});
}

// What is computed again is what was computed: the same bits, by either path.
TEST(GradientCheckpointing, GivesTheSameGradient) {
  at::set_num_threads(1);
  for (const char* name : {"adapter_lora", "adapter_dora"}) {
    HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
    Adapter adapter(model, golden(std::string("hf/") + name));
    const PackedBatch batch = test::batch_of(test::hf_samples(), {0, 3, 4}, special_ids(model.config()));
    for (const bool reference : {false, true}) {
      const Computed kept = compute(model, adapter, batch, reference, 0.3);
      model.set_gradient_checkpointing(true);
      const Computed again = compute(model, adapter, batch, reference, 0.3);
      model.set_gradient_checkpointing(false);
      EXPECT_EQ(again.total, kept.total);
      EXPECT_TRUE(again.gradient.equal(kept.gradient)) << name << " " << reference;
      EXPECT_GT(at::linalg_vector_norm(kept.gradient).item<double>(), 0.0);
    }
  }
}

// On attention alone, on some modules with other ranks, with DoRA, whose modules have no fused form.
TEST(ReferencePath, IsWhatTheFusedOneComputesForEveryKindOfAdapter) {
  for (const char* name : {"adapter_attn_list", "adapter_pattern", "adapter_rslora", "adapter_dora"}) {
    SCOPED_TRACE(name);
    HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
    Adapter adapter(model, golden(std::string("hf/") + name));
    const PackedBatch batch = test::batch_of(test::hf_samples(), {3, 4}, special_ids(model.config()));
    for (const double dropout : {0.0, 0.2}) expect_equal(model, adapter, batch, dropout, kFloat32);
  }
}

// Heads that learn, and the codebooks' embeddings, beside low-rank tensors.
TEST(ReferencePath, IsWhatTheFusedOneComputesWithWholeModules) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    HiggsModel model(golden("hf/model"), dtype, at::kCPU);
    LoraOptions lora;
    lora.r = 4;
    lora.modules_to_save = {"audio_lm_head", "embed_audio_tokens", "text_lm_head"};
    Adapter adapter(model, lora);
    adapter.values().add_(at::randn(adapter.values().sizes()) * 0.02);
    const PackedBatch batch = test::batch_of(test::hf_samples(), {1, 3, 4}, special_ids(model.config()));
    for (const double dropout : {0.0, 0.3}) {
      expect_equal(model, adapter, batch, dropout, dtype == at::kFloat ? kFloat32 : Bounds{2e-3, 3e-2, 1e-2});
    }
  }
}

// Text alone, and nothing that is learnt at all: no row for a head, or none for the last layer.
TEST(ReferencePath, IsWhatTheFusedOneComputesWithoutAnyAudio) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  Adapter adapter(model, golden("hf/adapter_lora"));
  const SpecialIds ids = special_ids(model.config());
  EncodedSample sample;
  sample.input_ids = {5, 9, 200, 31, 7};
  for (const bool learnt : {true, false}) {
    sample.label_ids = learnt ? std::vector<std::int64_t>{kIgnore, kIgnore, 200, 31, kIgnore}
                              : std::vector<std::int64_t>(5, kIgnore);
    const PackedBatch batch = test::batch_of({sample}, {0}, ids);
    if (learnt) {
      expect_equal(model, adapter, batch, 0.2, kFloat32);
      continue;
    }
    for (const bool reference : {false, true}) {
      model.set_reference_path(reference);
      ForwardOptions options;
      options.only_targets = true;
      const BatchLoss loss = batch_loss(model, batch, model.forward(batch, options),
                                        loss_weights(test::counts_of(batch), {}, at::kCPU), true);
      EXPECT_EQ(loss.total.item<double>(), 0.0);
      if (!loss.total.requires_grad()) continue;
      adapter.grads().zero_();
      loss.total.backward();
      EXPECT_EQ(adapter.grads().abs().max().item<double>(), 0.0);
    }
    model.set_reference_path(false);
  }
}

// More logits than are held at a time: two parts and a rest.
TEST(ReferencePath, HeadsInPartsGiveTheSameLoss) {
  const std::int64_t classes = std::int64_t{1} << 20, rows = 2 * kLogitsAtATime / classes + 5;
  LoraLinear head("head", at::randn({classes, 3}));
  const at::Tensor targets = (at::rand({rows, 1}) * static_cast<double>(classes)).to(at::kLong);
  targets[1] = kIgnore;
  const at::Tensor weights = at::full({1}, 0.25);
  at::Tensor learns = head.weight().clone().set_requires_grad(true);
  head.train_weight(learns);
  const at::Tensor values = at::randn({rows, 3});
  at::Tensor hidden = values.clone().set_requires_grad(true);
  const HeadLoss loss = head_loss(hidden, head, targets, weights, /*composed=*/false);
  loss.total.backward();
  // In double: over a million classes torch's own float32 is 2e-5 off.
  at::Tensor wide = values.to(at::kDouble).set_requires_grad(true);
  at::Tensor weight = head.weight().to(at::kDouble).set_requires_grad(true);
  const at::Tensor logits = wide.mm(weight.t());
  const at::Tensor losses =
      at::cross_entropy_loss(logits, targets.flatten(), {}, at::Reduction::Sum, kIgnore) * 0.25;
  losses.backward();
  EXPECT_NEAR(loss.total.item<double>(), losses.item<double>(), 1e-6 * losses.item<double>());
  EXPECT_LT(relative(hidden.grad().to(at::kDouble), wide.grad()), 2e-6);
  EXPECT_LT(relative(learns.grad().to(at::kDouble), weight.grad()), 2e-6);
  const HeadScores scores = head_scores(values, head, targets, /*composed=*/false);
  EXPECT_NEAR(scores.losses.sum().item<double>(), loss.sums.item<double>(), 1e-6 * loss.sums.item<double>());
  EXPECT_TRUE(scores.top1.squeeze(1).equal(logits.argmax(-1).eq(targets.flatten())));
}

// Layers that audio passes over among layers with both FFNs.
TEST(ReferencePath, IsWhatTheFusedOneComputesAroundLayersWithoutAnAudioFfn) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  LoraOptions lora;
  lora.r = 4;
  Adapter adapter(model, lora);
  adapter.values().copy_(at::randn(adapter.values().sizes()) * 0.1);
  const PackedBatch batch =
      pack(test::boson_batch(SafetensorsFile(golden("boson/model/fast_forward_H.safetensors")), "H.in."),
           {271, 272, 8, {}});
  for (const double dropout : {0.0, 0.2}) expect_equal(model, adapter, batch, dropout, kFloat32);
}

}  // namespace
}  // namespace higgs
