// Losses, gradients and ten steps of training against boson_multimodal + peft (goldens boson/lora).
#include <ATen/TensorIndexing.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numbers>

#include "higgs/model/lora_linear.h"
#include "higgs/train/optimizer.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::at_real_positions;
using test::close;
using test::golden;
using test::kForwardTolerance;
using test::kGradientTolerance;
using test::kLossTolerance;
using test::load;

const test::Tolerance kTrained{2e-6, "float32: ten small steps from the same start; 1.6e-7 measured"};

// peft's ".lora_A.weight" is ".lora_A.default.weight" while it trains.
std::string training_key(std::string key) {
  return key.insert(key.rfind(".weight"), ".default");
}

class BosonLora : public ::testing::Test {
 protected:
  BosonLora()
      : model(golden("boson/model/base"), at::kFloat, at::kCPU),
        adapter(model, golden("boson/lora/adapter_init")),
        batches(golden("boson/lora/microbatches.safetensors")) {}

  PackedBatch batch(int index) const {
    const ModelConfig& config = model.config();
    return pack(test::boson_batch(batches, "mb" + std::to_string(index) + "."),
                {*config.audio_in_token_id, *config.audio_out_token_id, config.num_codebooks});
  }

  void expect_adapter(const std::string& folder) const {
    const SafetensorsFile want(golden("boson/lora/" + folder + "/adapter_model.safetensors"));
    ASSERT_EQ(want.tensors().size(), adapter.tensors().size());
    for (const AdapterTensor& tensor : adapter.tensors()) {
      EXPECT_TRUE(close(tensor.value, load(want, tensor.key), kTrained, folder + " " + tensor.key));
    }
  }

  HiggsModel model;
  Adapter adapter;
  SafetensorsFile batches;
};

TEST_F(BosonLora, LogitsAndLossesEqualTheReference) {
  const SafetensorsFile want(golden("boson/lora/forward.safetensors"));
  for (const auto& [mb, text_step, audio_step] : {std::tuple{0, 4, 16}, std::tuple{1, 16, 64}}) {
    const std::string prefix = "mb" + std::to_string(mb) + ".";
    const auto field = [&](const std::string& name) { return load(want, prefix + name); };
    const at::Tensor mask = field("attention_mask");
    const PackedBatch packed = batch(mb);
    const at::Tensor hidden = model.forward(packed);
    const at::Tensor text = model.text_logits(hidden);
    const std::string text_field = "logits_every_" + std::to_string(text_step) + "th";
    const std::string audio_field = "audio_logits_every_" + std::to_string(audio_step) + "th";
    const auto expect_equal = [&](const at::Tensor& ours, const at::Tensor& theirs, const std::string& name) {
      EXPECT_TRUE(close(ours, theirs, kForwardTolerance, prefix + name));
    };
    expect_equal(at::logsumexp(text, -1), at_real_positions(field("logits_lse"), mask), "logits_lse");
    expect_equal(text.index({Slice(), Slice(0, {}, text_step)}), at_real_positions(field(text_field), mask),
                 text_field);
    const at::Tensor audio = model.audio_logits(hidden.index_select(0, packed.audio_out_rows));
    expect_equal(at::logsumexp(audio, -1), field("audio_logits_lse"), "audio_logits_lse");
    expect_equal(audio.index({Ellipsis, Slice(0, {}, audio_step)}), field(audio_field), audio_field);
    EXPECT_TRUE(packed.text_labels.equal(at_real_positions(field("expanded_labels"), mask)));
    LossMeter meter(8);
    meter.add(loss_sums(model, packed, hidden, true));
    const LossValues values = meter.values(test::counts_of(packed), {});
    const auto expect_loss = [&](double ours, const at::Tensor& theirs, const std::string& name) {
      EXPECT_TRUE(close(ours, theirs.item<double>(), kLossTolerance, prefix + name));
    };
    expect_loss(values.total, field("loss"), "loss");
    expect_loss(values.text, field("text_loss"), "text_loss");
    for (int k = 0; k < 8; ++k) {
      expect_loss(values.codebooks[k], field("audio_codebook_losses")[k], "codebook " + std::to_string(k));
    }
  }
}

// info.json: label counts, the losses that labels at their own positions would give, gradient norms, names.
TEST_F(BosonLora, CountsNamesAndNormsAreTheReferences) {
  const Json info = read_json_file(golden("boson/lora/info.json"));
  EXPECT_EQ(model.linears().front()->scaling(), info.at("scaling").get<double>());
  std::vector<std::string> names;
  for (const AdapterTensor& tensor : adapter.tensors()) names.push_back(training_key(tensor.key));
  auto wanted_names = info.at("trainable_names").get<std::vector<std::string>>();
  std::ranges::sort(names);
  std::ranges::sort(wanted_names);
  EXPECT_EQ(names, wanted_names);
  for (const int mb : {0, 1}) {
    const Json& want = info.at("loss").at("mb" + std::to_string(mb));
    const auto expect_number = [&](double ours, const char* name, const test::Tolerance& tolerance) {
      EXPECT_TRUE(close(ours, want.at(name).get<double>(), tolerance, name));
    };
    const PackedBatch packed = batch(mb);
    const TargetCounts counts = test::counts_of(packed);
    EXPECT_EQ(counts.text, want.at("n_text_labels").get<std::int64_t>());
    EXPECT_EQ(counts.audio, want.at("n_audio_labels").get<std::vector<std::int64_t>>());
    adapter.grads().zero_();
    expect_number(test::backward(model, packed, counts), "loss", kLossTolerance);
    expect_number(adapter.grads().norm().item<double>(), "grad_norm", kLossTolerance);
    for (const AdapterTensor& tensor : adapter.tensors()) {
      EXPECT_GT(tensor.grad.abs().max().item<double>(), 0.0) << tensor.key;  // lora_without_grad: none
    }
    const at::Tensor hidden = model.forward(packed);
    const at::Tensor text = at::cross_entropy_loss(model.text_logits(hidden), packed.text_labels);
    expect_number(text.item<double>(), "text_loss_if_not_shifted", kLossTolerance);
    const at::Tensor audio = model.audio_logits(hidden.index_select(0, packed.audio_out_rows));
    double sum = 0;
    for (int k = 0; k < 8; ++k) {
      sum += at::cross_entropy_loss(audio.select(1, k), packed.audio_labels.select(1, k)).item<double>();
    }
    expect_number(sum / 8, "audio_loss_if_not_shifted", kLossTolerance);
  }
  const std::vector<bool> ignored = info.at("clip_starts_all_ignored");
  for (std::size_t mb = 0; mb < ignored.size(); ++mb) {
    const std::string prefix = "mb" + std::to_string(mb) + ".";
    const at::Tensor labels = load(batches, prefix + "label_audio_ids");
    for (const std::int64_t start : batches.integers(prefix + "audio_out_ids_start")) {
      EXPECT_EQ(labels.select(1, start).eq(kIgnore).all().item<bool>(), ignored[mb]);
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
      const std::string key = training_key(tensor.key);
      EXPECT_TRUE(close(tensor.grad, load(want, key), kGradientTolerance, key));
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
      const std::string name =
          " of step " + std::to_string(step) + ", micro-batch " + micro.at("microbatch").dump();
      EXPECT_TRUE(close(own, micro.at("loss").get<double>(), kLossTolerance, "loss" + name));
      EXPECT_TRUE(close(micro.at("text").get<double>() + micro.at("audio").get<double>(), own, kLossTolerance,
                        "text + audio" + name));
      loss += own / 2;
    }
    const double norm = clip_gradient(adapter.grads(), 1.0).item<double>();
    const std::string at_step = " of step " + std::to_string(step);
    EXPECT_EQ(want.at("step"), step);
    EXPECT_TRUE(close(loss, want.at("loss").get<double>(), kLossTolerance, "loss" + at_step));
    EXPECT_TRUE(close(norm, want.at("grad_norm").get<double>(), kLossTolerance, "gradient norm" + at_step));
    EXPECT_NEAR(scheduled_rate(step, 2, 10), want.at("lr").get<double>(), 1e-12);
    EXPECT_NEAR(scheduled_rate(step + 1, 2, 10), want.at("lr_after_scheduler").get<double>(), 1e-12);
    optimizer.step(scheduled_rate(step, 2, 10));
  }
  EXPECT_EQ(step, 10);
  expect_adapter("adapter_final");
}

}  // namespace
}  // namespace higgs
