// Training and generation compute the same: one packed forward against the key/value cache, row by row.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "higgs/data/dataset.h"
#include "higgs/model/adapter.h"
#include "higgs/model/higgs_model.h"
#include "support/golden_batch.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;
using test::relative_difference;

// Hidden states of a prefill of `first` rows and one row at a time after it.
at::Tensor step_by_step(HiggsModel& model, const PackedBatch& batch, std::int64_t first) {
  const at::NoGradGuard no_grad;
  std::vector<KvCache> caches = model.make_caches(batch.num_rows);
  ForwardOptions options;
  options.caches = &caches;
  std::vector<at::Tensor> rows = {model.forward(slice_rows(batch, 0, first), options)};
  for (std::int64_t row = first; row < batch.num_rows; ++row) {
    rows.push_back(model.forward(slice_rows(batch, row, row + 1), options));
  }
  return at::cat(rows);
}

// Another order of the same float32 sums: 1e-5.
void expect_equal_forwards(HiggsModel& model, const PackedBatch& batch,
                           std::initializer_list<std::int64_t> prefills) {
  const at::Tensor packed = model.forward(batch);
  for (const std::int64_t first : prefills) {
    const at::Tensor cached = step_by_step(model, batch, first);
    EXPECT_LT(relative_difference(model.text_logits(cached), model.text_logits(packed)), 1e-5) << first;
    EXPECT_LT(relative_difference(model.audio_logits(cached), model.audio_logits(packed)), 1e-5) << first;
  }
}

// The sample has two clips with text between and after them.
TEST(CachedForward, EqualsThePackedForward) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const Adapter adapter(model, golden("hf/adapter_lora"));
  const SafetensorsFile samples(golden("hf/data/samples.safetensors"));
  EncodedSample sample;
  sample.input_ids = samples.integers("00001.input_ids");
  const auto codes = samples.integers("00001.codes");
  std::int64_t begin = 0;
  const std::int64_t total = samples.at("00001.codes").shape[1];
  for (const std::int64_t length : samples.integers("00001.code_lengths")) {
    Codes clip{8, length, {}};
    for (std::int64_t k = 0; k < 8; ++k) {
      for (std::int64_t j = 0; j < length; ++j) {
        clip.values.push_back(
            static_cast<std::int16_t>(codes[static_cast<std::size_t>(k * total + begin + j)]));
      }
    }
    begin += length;
    sample.codes.push_back(std::move(clip));
  }
  SpecialIds ids;
  ids.audio_out = *model.config().audio_out_token_id;
  ids.stream_bos = model.config().stream_bos_id;
  ids.stream_eos = model.config().stream_eos_id;
  ids.num_codebooks = 8;
  ids.codebook_size = 1024;
  const EncodedSample* one = &sample;
  expect_equal_forwards(model, make_batch({&one, 1}, ids), {1, 46, 120});
}

LoraOptions small_lora() {
  LoraOptions options;
  options.r = 4;
  options.alpha = 8.0;
  return options;
}

// Layers that pass over audio rows keep text rows alone in their caches.
TEST(CachedForward, EqualsThePackedForwardWhereLayersPassOverAudio) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  Adapter adapter(model, small_lora());
  adapter.values().copy_(at::randn(adapter.values().sizes()) * 0.1);
  const SafetensorsFile file(golden("boson/model/fast_forward_H.safetensors"));
  CollatedBatch first = test::boson_batch(file, "H.in.");  // of two samples: the one with both clips
  for (IdMatrix* ids : {&first.input_ids, &first.attention_mask, &*first.label_ids}) {
    ids->rows = 1;
    ids->values.resize(static_cast<std::size_t>(ids->cols));
  }
  const PackedBatch batch = pack(first, {271, 272, 8});
  ASSERT_EQ(batch.audio_rows.numel(), 25);
  const std::int64_t first_frame = batch.audio_rows[0].item<std::int64_t>();
  expect_equal_forwards(model, batch, {1, first_frame, first_frame + 5, batch.num_rows - 1});

  std::vector<KvCache> caches = model.make_caches(batch.num_rows);
  ForwardOptions options;
  options.caches = &caches;
  model.forward(batch, options);
  EXPECT_EQ(caches[0].length, batch.num_rows);
  EXPECT_EQ(caches[1].length, batch.num_rows - 25);
}

// What is heard reaches the cache wherever the prompt is cut, also between the features of a clip.
TEST(CachedForward, EqualsThePackedForwardWithHeardClips) {
  HiggsModel model(golden("boson/model/tower"), at::kFloat, at::kCPU);
  const SafetensorsFile file(golden("boson/model/tower_I.safetensors"));
  const PackedBatch both = pack(test::boson_batch(file, "I.in."), {271, 272, 8});
  const PackedBatch second = slice_rows(both, both.cu_seqlens[1], both.num_rows);
  const at::Tensor features = second.kind.eq(static_cast<int>(RowKind::kFeature)).nonzero().squeeze(1);
  ASSERT_EQ(features.numel(), 7);
  EXPECT_LT(relative_difference(model.forward(second), model.forward(both).slice(0, both.cu_seqlens[1])),
            1e-5);
  expect_equal_forwards(model, second,
                        {1, features[0].item<std::int64_t>() + 1, features[6].item<std::int64_t>() + 1});
}

}  // namespace
}  // namespace higgs
