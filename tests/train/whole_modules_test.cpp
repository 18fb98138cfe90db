// Modules that are trained whole beside LoRA: their gradients, what learns in float32 under a bf16 base, and
// how a run goes on with them.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include "higgs/model/agreement.h"
#include "higgs/model/lora_linear.h"
#include "support/base_copy.h"
#include "support/tiny_run.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;
using test::TinyRun;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

double relative(const at::Tensor& a, const at::Tensor& b) {
  return at::linalg_vector_norm(a.to(at::kDouble) - b).item<double>() /
         at::linalg_vector_norm(b.to(at::kDouble)).item<double>();
}

LoraOptions all_whole(std::int64_t r = 4) {
  LoraOptions lora;
  lora.r = r;
  if (r == 0) lora.ranks = parse_group_values("self_attn=0,mlp=0,audio_mlp=0", "");
  if (r == 0) lora.r = 1;
  lora.modules_to_save = parse_modules_to_save("text_lm_head,embed_audio_tokens,audio_lm_head", "");
  return lora;
}

at::Tensor grad_of(const Adapter& adapter, const std::string& module) {
  for (const AdapterTensor& tensor : adapter.tensors()) {
    if (tensor.module == module) return tensor.grad;
  }
  ADD_FAILURE() << module;
  return {};
}

struct Case {
  explicit Case(at::ScalarType dtype = at::kFloat, bool quantize = false)
      : model(golden("hf/model"), dtype, at::kCPU, quantize),
        batch(test::batch_of(test::hf_samples(), {0, 1, 3}, special_ids(model.config()))) {}

  // As training does it: heads at target rows, in parts.
  double backward(const ObjectiveOptions& objective = {}, at::Tensor* embeddings = nullptr) {
    ForwardOptions options;
    options.only_targets = true;
    options.embeddings = embeddings;
    hidden = model.forward(batch, options);
    const BatchLoss loss =
        batch_loss(model, batch, hidden, loss_weights(test::counts_of(batch), objective, at::kCPU), true);
    if (embeddings != nullptr) embeddings->retain_grad();
    loss.total.backward();
    return loss.total.item<double>();
  }

  HiggsModel model;
  PackedBatch batch;
  at::Tensor hidden;
};

// Against torch's own operators in double, from the hidden states on, and from the embeddings back.
TEST(WholeModules, HaveTheGradientsOfThePlainComposition) {
  for (const bool quantize : {false, true}) {  // heads and embeddings stay as they are
    Case c(at::kFloat, quantize);
    Adapter adapter(c.model, all_whole());
    adapter.values().narrow(0, 0, 1000).copy_(at::randn({1000}) * 0.1);
    ObjectiveOptions objective;
    objective.text_weight = 0.7;
    at::Tensor embeddings;
    const double total = c.backward(objective, &embeddings);

    const std::int64_t C = 8, K = c.model.config().codebook_rows;
    const auto leaf = [](const at::Tensor& values) {
      return values.detach().to(at::kDouble).set_requires_grad(true);
    };
    const at::Tensor audio = leaf(c.model.audio_head()), text = leaf(c.model.text_head());
    const at::Tensor hidden = c.hidden.detach().to(at::kDouble);
    const TargetCounts counts = test::counts_of(c.batch);
    const at::Tensor text_loss =
        at::cross_entropy_loss(hidden.index_select(0, c.batch.text_target_slots).mm(text.t()),
                               c.batch.text_targets) *
        0.7;
    at::Tensor audio_loss;
    for (std::int64_t k = 0; k < C; ++k) {
      const at::Tensor logits =
          hidden.index_select(0, c.batch.audio_target_slots).mm(audio.narrow(0, k * K, K).t());
      const at::Tensor one = at::cross_entropy_loss(logits, c.batch.audio_targets.select(1, k)) / 8;
      audio_loss = k == 0 ? one : audio_loss + one;
    }
    const at::Tensor loss = text_loss + audio_loss;
    loss.backward();
    EXPECT_NEAR(total, loss.item<double>(), 1e-6 * total);
    EXPECT_LT(relative(grad_of(adapter, "audio_lm_head"), audio.grad()), 2e-6);
    EXPECT_LT(relative(grad_of(adapter, "text_lm_head"), text.grad()), 2e-6);

    at::Tensor table = at::zeros({C * K, c.model.config().hidden_size}, at::kDouble);
    const at::Tensor d_rows = embeddings.grad().to(at::kDouble);
    for (std::int64_t i = 0; i < c.batch.audio_ids.size(0); ++i) {
      const at::Tensor d_row = d_rows[c.batch.audio_rows[i].item<std::int64_t>()];
      for (std::int64_t k = 0; k < C; ++k)
        table[k * K + c.batch.audio_ids[i][k].item<std::int64_t>()] += d_row;
    }
    EXPECT_GT(table.abs().max().item<double>(), 0.0);
    EXPECT_LT(relative(grad_of(adapter, "embed_audio_tokens"), table), 2e-6);
  }
}

// Without low-rank tensors nothing below the heads has a gradient but the embeddings.
TEST(WholeModules, AreTrainedWithoutLoraToo) {
  Case c;
  const at::Tensor plain = c.model.forward(c.batch).detach();
  Adapter adapter(c.model, all_whole(0));
  EXPECT_EQ(adapter.num_modules(), 0u);
  EXPECT_EQ(adapter.config().target_regex, "dummy-target-modules");
  EXPECT_TRUE(c.model.forward(c.batch).detach().equal(plain));
  c.backward();
  for (const char* module : {"audio_lm_head", "embed_audio_tokens", "text_lm_head"})
    EXPECT_GT(grad_of(adapter, module).norm().item<double>(), 0.0) << module;
  const at::Tensor all = adapter.grads().clone();
  adapter.grads().zero_();
  c.model.set_gradient_checkpointing(true);
  c.backward();
  EXPECT_TRUE(adapter.grads().equal(all));
  LoraOptions head = all_whole(0);
  head.modules_to_save = {"audio_lm_head"};
  Case other;
  Adapter alone(other.model, head);
  other.backward();
  EXPECT_FALSE(other.hidden.requires_grad());
  EXPECT_LT(relative(alone.grads(), grad_of(adapter, "audio_lm_head").flatten()), 1e-6);
}

// What is computed with is the rounded value of what learns: steps far below a bf16 value's last bit add up.
TEST(WholeModules, LearnInFloat32UnderABf16Base) {
  const test::TemporaryFolder folder;
  TinyRun run(folder.path(), at::kCPU, at::kBFloat16);
  run.lora.modules_to_save = all_whole().modules_to_save;
  run.options.learning_rate = 1e-6;
  run.options.adamw.weight_decay = 0.0;
  const at::Tensor before = run.model.audio_head().clone();
  run.make();
  EXPECT_TRUE(run.model.audio_head().equal(before));
  run.run();
  for (const AdapterTensor& tensor : run.adapter->tensors()) {
    for (const WholeModule& whole : kWholeModules) {
      if (tensor.module != whole.name) continue;
      const at::Tensor values = tensor.value.detach(), used = run.model.weight(whole.weight);
      EXPECT_EQ(used.scalar_type(), at::kBFloat16);
      EXPECT_TRUE(used.equal(values.to(at::kBFloat16))) << whole.name;
      const at::Tensor moved = values.ne(used.to(at::kFloat));
      EXPECT_TRUE(moved.any().item<bool>()) << whole.name;
    }
  }
  const Agreement agreement =
      compare_forwards(run.model, test::batch_of(test::hf_samples(), {0}, run.ids), /*wide=*/true, 8);
  EXPECT_TRUE(agreement.holds()) << agreement.summary();
}

TEST(WholeModules, GoOnBitForBitFromACheckpoint) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const test::TemporaryFolder folder;
    const auto prepared = [&](const char* name) {
      auto run = std::make_unique<TinyRun>(folder / name, at::kCPU, dtype);
      run->lora.modules_to_save = all_whole().modules_to_save;
      return run;
    };
    const auto whole = prepared("whole"), first = prepared("split"), second = prepared("split");
    whole->make();
    ASSERT_TRUE(whole->run());
    EXPECT_LT(whole->recorder.steps.back().loss.total, 0.8 * whole->recorder.steps.front().loss.total);
    first->make();
    ASSERT_FALSE(first->run(3));
    second->make().resume(folder / "split/step-000003");
    ASSERT_TRUE(second->run());
    EXPECT_TRUE(second->adapter->values().equal(whole->adapter->values()));
    EXPECT_EQ(second->recorder.steps.back().loss.total, whole->recorder.steps.back().loss.total);
    EXPECT_EQ(test::text_of(folder / "split/step-000006/adapter_model.safetensors"),
              test::text_of(folder / "whole/step-000006/adapter_model.safetensors"));
  }
  const test::TemporaryFolder folder;
  TinyRun with(folder.path()), without(folder.path());
  with.lora.modules_to_save = {"audio_lm_head"};
  with.make();
  with.run(1);
  EXPECT_THAT(test::user_error([&] { without.make().resume(folder / "step-000001"); }),
              HasSubstr("give the same --lora_r, --use_dora and --modules_to_save"));
}

// Read again they stand in for the base's; trained on, they are in the flat buffer with the same values.
TEST(WholeModules, AreReadAgainAndTrainedOn) {
  const test::TemporaryFolder folder;
  for (const std::string layout : {"hf", "boson"}) {
    const fs::path adapter_folder = folder / layout, again = folder / (layout + "_again");
    for (const fs::path& one : {adapter_folder, again}) fs::create_directories(one);
    HiggsModel model(golden(layout == "hf" ? "hf/model" : "boson/model/base"), at::kFloat, at::kCPU);
    std::map<std::string, at::Tensor> first, values;
    for (const WholeModule& whole : kWholeModules) first[whole.name] = model.weight(whole.weight).clone();
    const auto expect_values = [&] {
      for (const WholeModule& whole : kWholeModules)
        EXPECT_TRUE(model.weight(whole.weight).equal(values.at(whole.name))) << layout << " " << whole.name;
    };
    {
      Adapter adapter(model, all_whole());
      adapter.values().add_(at::randn(adapter.values().sizes()) * 0.01);
      for (const WholeModule& whole : kWholeModules) values[whole.name] = model.weight(whole.weight).clone();
      adapter.save(adapter_folder);
    }
    for (const WholeModule& whole : kWholeModules)
      EXPECT_TRUE(model.weight(whole.weight).equal(first.at(whole.name))) << "taken off";
    Adapter adapter(model, adapter_folder);
    EXPECT_THAT(adapter.trained_modules(), ElementsAre());
    EXPECT_EQ(adapter.saved_tensors().size(), 3u);
    expect_values();
    LoraOptions named;
    named.base_name = "x";
    adapter.continue_with(named);
    EXPECT_THAT(adapter.trained_modules(),
                ElementsAre("audio_lm_head", "embed_audio_tokens", "text_lm_head"));
    EXPECT_TRUE(adapter.saved_tensors().empty());
    expect_values();
    adapter.save(again);
    EXPECT_EQ(test::text_of(again / "adapter_model.safetensors"),
              test::text_of(adapter_folder / "adapter_model.safetensors"));
  }
  EXPECT_EQ(read_json_file(folder / "hf/adapter_config.json").at("modules_to_save"),
            (Json{"audio_lm_head", "model.embed_audio_tokens.embed_audio_tokens", "text_lm_head"}));
}

TEST(WholeModules, ThatTheBaseLacksAreRefused) {
  test::BaseCopy copy("hf/model");
  copy.tensors.erase("text_lm_head.weight");
  HiggsModel model = copy.model();
  EXPECT_THAT(test::user_error([&] { Adapter adapter(model, all_whole()); }),
              HasSubstr("has no text_lm_head.weight"));
}

// Plain AdamW at their own rate: LoRA+ is for B alone.
TEST(WholeModules, HaveRatesByName) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  Adapter adapter(model, all_whole());
  const auto rates = parse_group_values("embed_audio_tokens=0.5,self_attn=2", "", /*with_whole=*/true);
  std::map<std::string, double> found;
  for (const ParameterGroup& group : parameter_groups(adapter, rates, 16.0)) {
    std::int64_t begin = 0;
    for (const AdapterTensor& tensor : adapter.tensors()) {
      if (begin >= group.begin && begin < group.end) found[tensor.key] = group.factor;
      begin += tensor.value.numel();
    }
  }
  EXPECT_EQ(found.at("base_model.model.audio_lm_head.weight"), 1.0);
  EXPECT_EQ(found.at("base_model.model.model.embed_audio_tokens.embed_audio_tokens.weight"), 0.5);
  EXPECT_EQ(found.at("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"), 32.0);
  EXPECT_EQ(found.at("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"), 1.0);
}

}  // namespace
}  // namespace higgs
