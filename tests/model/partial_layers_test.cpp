// Layers without an audio FFN: audio rows passed over (dual_ffn_fast_forward), or treated as text (dual_ffn).
// What boson_multimodal computes for the former is compared in boson_golden_test.cpp.
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include "higgs/model/adapter.h"
#include "higgs/model/lora_linear.h"
#include "support/base_copy.h"
#include "support/golden_batch.h"

namespace higgs {
namespace {

using test::BaseCopy;
using test::golden;
using test::relative_difference;
using ::testing::HasSubstr;

CollatedBatch golden_batch() {
  return test::boson_batch(SafetensorsFile(golden("boson/model/fast_forward_H.safetensors")), "H.in.");
}

PackedBatch packed(const CollatedBatch& batch, std::span<const std::int64_t> places = {}) {
  return pack(batch, {271, 272, 8, places});
}

// The batch with these samples in this order. Its clips are all of sample 0.
CollatedBatch with_samples(CollatedBatch batch, const std::vector<std::int64_t>& which) {
  const auto pick = [&](IdMatrix& ids) {
    IdMatrix picked(static_cast<std::int64_t>(which.size()), ids.cols);
    for (std::size_t i = 0; i < which.size(); ++i) {
      for (std::int64_t t = 0; t < ids.cols; ++t) {
        picked.at(static_cast<std::int64_t>(i), t) = ids.at(which[i], t);
      }
    }
    ids = picked;
  };
  pick(batch.input_ids);
  pick(batch.attention_mask);
  pick(*batch.label_ids);
  return batch;
}

LoraOptions small_lora() {
  LoraOptions options;
  options.r = 4;
  options.alpha = 8.0;
  return options;
}

void randomise(Adapter& adapter) {
  adapter.values().copy_(at::randn(adapter.values().sizes()) * 0.1);
}

TEST(PartialLayers, HaveNoLinearMapsForAudio) {
  const HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  EXPECT_EQ(model.linears().size(), 27u);
  for (const auto& linear : model.linears()) {
    EXPECT_FALSE(linear->path().starts_with("layers.1.audio_mlp")) << linear->path();
  }
}

TEST(PartialLayers, ChangeNoAudioRowAndSeeNone) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  std::vector<at::Tensor> layers, others;
  ForwardOptions options;
  options.layer_outputs = &layers;
  PackedBatch batch = packed(golden_batch());
  model.forward(batch, options);
  const at::Tensor& audio = batch.audio_rows;
  EXPECT_TRUE(layers[1].index_select(0, audio).equal(layers[0].index_select(0, audio)));
  EXPECT_FALSE(layers[1].equal(layers[0]));
}

// Packed behind another sample, with dropout: the same rows, since masks know only sample and position.
TEST(PartialLayers, SamplesDoNotSeeEachOther) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  Adapter adapter(model, small_lora());
  randomise(adapter);
  ForwardOptions options;
  options.dropout_p = 0.3;
  options.dropout_key = 5;
  const PackedBatch both = packed(with_samples(golden_batch(), {1, 0})),
                    second = packed(with_samples(golden_batch(), {0}), std::vector<std::int64_t>{1});
  ASSERT_EQ(second.audio_rows.numel(), 25);
  const at::Tensor rows = model.forward(both, options).slice(0, both.cu_seqlens[1]);
  const at::Tensor alone = model.forward(second, options);
  EXPECT_LT(relative_difference(rows, alone), 1e-5);  // the same float32 sums, in larger products
  options.dropout_key = 6;
  EXPECT_GT(relative_difference(model.forward(second, options), alone), 1e-3);
}

TEST(PartialLayers, EveryAdapterTensorHasAGradient) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  Adapter adapter(model, small_lora());
  randomise(adapter);
  adapter.grads().zero_();
  model.forward(packed(golden_batch())).square().sum().backward();
  EXPECT_EQ(adapter.tensors().size(), 54u);
  for (const AdapterTensor& tensor : adapter.tensors()) {
    EXPECT_GT(tensor.grad.abs().max().item<double>(), 1e-6) << tensor.key;
  }
}

// A batch of frames alone has nothing for such a layer to do.
TEST(PartialLayers, PassABatchWithoutText) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  CollatedBatch batch;
  batch.input_ids = IdMatrix(1, 1, 272);
  batch.attention_mask = IdMatrix(1, 1, 1);
  batch.audio_out_ids = IdMatrix(8, 3, 5);
  batch.audio_out_ids_start = {0};
  std::vector<at::Tensor> layers;
  ForwardOptions options;
  options.layer_outputs = &layers;
  model.forward(packed(batch), options);
  EXPECT_TRUE(layers[1].equal(layers[0]));
}

// An ordinary layer is a dual one whose two paths have equal weights.
TEST(PartialLayers, OfPlainDualFfnTreatAudioAsText) {
  BaseCopy plain("boson/model/fast_forward"), dual("boson/model/fast_forward");
  plain.config["audio_adapter_type"] = "dual_ffn";
  dual.config["audio_dual_ffn_layers"] = {0, 1, 2};
  const std::string layer = "layers.1.";
  for (const char* name :
       {"input_layernorm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
    dual.tensors[layer + "audio_" + name + ".weight"] = dual.tensors.at(layer + name + ".weight");
  }
  const PackedBatch batch = packed(golden_batch());
  HiggsModel plain_model = plain.model(), dual_model = dual.model();
  EXPECT_EQ(plain_model.linears().size(), 27u);
  const at::Tensor hidden = plain_model.forward(batch);
  EXPECT_LT(relative_difference(hidden, dual_model.forward(batch)), 1e-6);
  HiggsModel passing(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  EXPECT_GT(relative_difference(hidden, passing.forward(batch)), 1e-2);
}

TEST(PartialLayers, RefuseACheckpointWithAudioWeightsInThem) {
  BaseCopy copy("boson/model/fast_forward");
  copy.tensors["layers.1.audio_input_layernorm.weight"] = copy.tensors.at("layers.1.input_layernorm.weight");
  EXPECT_THAT(copy.error(), HasSubstr("no place for (layers.1.audio_input_layernorm.weight)"));
  copy.tensors.erase("layers.1.audio_input_layernorm.weight");
  copy.config["audio_dual_ffn_layers"] = {0, 1, 2};
  EXPECT_THAT(copy.error(), HasSubstr("layers.1.audio_input_layernorm.weight' is missing"));
}

}  // namespace
}  // namespace higgs
