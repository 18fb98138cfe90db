// The model in boson's layout against boson_multimodal (goldens boson/model): the batches of its own
// collator.
#include <ATen/TensorIndexing.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <gmock/gmock.h>

#include <map>

#include "higgs/model/audio_tower.h"
#include "higgs/model/higgs_model.h"
#include "support/golden_batch.h"
#include "support/whole_golden.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::at_real_positions;
using test::close;
using test::golden;
using test::kForwardTolerance;
using test::load;
using test::whole_golden;

// boson/model/FOLDER, loaded once.
HiggsModel& model_of(const std::string& folder) {
  static std::map<std::string, HiggsModel> loaded;
  const auto found = loaded.find(folder);
  if (found != loaded.end()) return found->second;
  return loaded.try_emplace(folder, golden("boson/model/" + folder), at::kFloat, at::kCPU).first->second;
}

PackedBatch pack_boson(const CollatedBatch& batch, const ModelConfig& config) {
  return pack(batch, {*config.audio_in_token_id, *config.audio_out_token_id, config.num_codebooks});
}

struct Case {
  const char* model;
  const char* file;
  const char* name;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.file;
}

class BosonGolden : public ::testing::TestWithParam<Case> {
 protected:
  BosonGolden()
      : file(whole_golden("boson/model/" + std::string(GetParam().model) + "_" + GetParam().file +
                          ".safetensors")),
        batch(pack_boson(test::boson_batch(file, GetParam().name + std::string(".in.")), model().config())) {}

  HiggsModel& model() { return model_of(GetParam().model); }

  at::Tensor want(const std::string& field) {
    return load(file, GetParam().name + std::string(".out.") + field);
  }
  bool has(const std::string& field) { return file.contains(GetParam().name + std::string(".out.") + field); }
  at::Tensor want_at_real_positions(const std::string& field) {
    return at_real_positions(want(field), want("attention_mask"));
  }
  // Where the golden's most likely id leads by more than rounding, ours is the same.
  void compare_argmax(const at::Tensor& logits, const at::Tensor& expected) {
    const auto [top, ids] = logits.topk(2, -1);
    const at::Tensor clear = (top.select(-1, 0) - top.select(-1, 1)).gt(1e-4);
    EXPECT_TRUE(
        ids.select(-1, 0).eq(expected.to(at::kLong)).logical_or(clear.logical_not()).all().item<bool>());
    EXPECT_GT(clear.to(at::kDouble).mean().item<double>(), 0.9);
  }
  // The stored field KIND_every_Nth holds every N-th column.
  std::pair<std::string, std::int64_t> strided_field(const std::string& kind) {
    const std::string start = GetParam().name + (".out." + kind + "_every_");
    for (const auto& [name, view] : file.tensors()) {
      if (name.rfind(start, 0) == 0) {
        return {name.substr(name.find(kind)), std::stoll(name.substr(start.size()))};
      }
    }
    return {kind, 1};
  }

  SafetensorsFile file;
  PackedBatch batch;
};

// The ids that the reference's merge_input_ids_with_audio_features makes of the packed rows: one placeholder
// a frame.
at::Tensor expanded_ids(const PackedBatch& batch, const ModelConfig& config) {
  const at::Tensor ids = at::empty({batch.num_rows}, at::kLong);
  ids.index_copy_(0, batch.text_rows, batch.text_ids);
  ids.index_fill_(0, batch.audio_rows, at::Scalar(*config.audio_in_token_id));
  ids.masked_fill_(batch.kind.eq(3), at::Scalar(*config.audio_in_token_id));  // features
  return ids.index_fill_(0, batch.audio_out_rows, at::Scalar(*config.audio_out_token_id));
}

TEST_P(BosonGolden, PackKeepsTheRealPositionsAlone) {
  const at::Tensor mask = want("attention_mask");
  EXPECT_EQ(batch.num_rows, mask.sum().item<std::int64_t>());
  EXPECT_TRUE(batch.positions.equal(want_at_real_positions("position_ids")));
  EXPECT_TRUE(expanded_ids(batch, model().config()).equal(want_at_real_positions("expanded_input_ids")));
  EXPECT_TRUE(batch.kind.eq(2).equal(want_at_real_positions("audio_out_mask").ne(0)));
  EXPECT_TRUE(batch.kind.eq(1).equal(want_at_real_positions("audio_in_discrete_codes_mask").ne(0)));
  // Frames of audio in are discrete codes or Whisper features; the second mask has both.
  EXPECT_TRUE(batch.kind.remainder(2).eq(1).equal(want_at_real_positions("audio_in_mask").ne(0)));
  EXPECT_EQ(has("expanded_labels"), file.contains(GetParam().name + std::string(".in.label_ids")));
  if (has("expanded_labels")) {
    EXPECT_TRUE(batch.text_labels.equal(want_at_real_positions("expanded_labels")));
  }
  const std::string labels = GetParam().name + std::string(".in.label_audio_ids");
  if (file.contains(labels) && batch.audio_out_rows.numel() > 0) {
    EXPECT_TRUE(batch.audio_labels.equal(load(file, labels).t()));
  }
}

TEST_P(BosonGolden, EmbeddingsAndEveryLayerEqualTheReference) {
  at::Tensor embeddings;
  std::vector<at::Tensor> layers;
  ForwardOptions options;
  options.embeddings = &embeddings;
  options.layer_outputs = &layers;
  const at::Tensor hidden = model().forward(batch, options);
  ASSERT_EQ(layers.size(), 3u);
  const std::map<std::string, at::Tensor> ours = {{"hidden_0_embeddings", embeddings},
                                                  {"hidden_1", layers[0]},
                                                  {"hidden_2", layers[1]},
                                                  {"hidden_3_before_final_norm", layers[2]},
                                                  {"hidden_final_norm", hidden}};
  std::size_t stored = 0, compared = 0;
  for (const auto& [name, view] : file.tensors()) stored += name.find(".out.hidden_") != std::string::npos;
  for (const auto& [name, tensor] : ours) {
    if (!has(name)) continue;
    EXPECT_TRUE(close(tensor, want_at_real_positions(name), kForwardTolerance, name));
    ++compared;
  }
  EXPECT_EQ(compared, stored);
}

TEST_P(BosonGolden, TextLogitsEqualTheReference) {
  const at::Tensor text = model().text_logits(model().forward(batch));
  EXPECT_TRUE(
      close(at::logsumexp(text, -1), want_at_real_positions("logits_lse"), kForwardTolerance, "logits_lse"));
  compare_argmax(text, want_at_real_positions("logits_argmax"));
  const auto [field, step] = strided_field("logits");
  EXPECT_TRUE(close(text.index({Slice(), Slice(0, {}, step)}), want_at_real_positions(field),
                    kForwardTolerance, field));
}

TEST_P(BosonGolden, AudioLogitsEqualTheReference) {
  if (!has("audio_logits_lse")) {
    EXPECT_EQ(batch.audio_out_rows.numel(), 0);
    return;
  }
  const at::Tensor hidden = model().forward(batch);
  const at::Tensor audio = model().audio_logits(hidden.index_select(0, batch.audio_out_rows));
  EXPECT_TRUE(
      close(at::logsumexp(audio, -1), want("audio_logits_lse"), kForwardTolerance, "audio_logits_lse"));
  compare_argmax(audio, want("audio_logits_argmax"));
  const auto [field, step] = strided_field("audio_logits");
  EXPECT_TRUE(close(audio.index({Ellipsis, Slice(0, {}, step)}), want(field), kForwardTolerance, field));
}

INSTANTIATE_TEST_SUITE_P(All, BosonGolden,
                         ::testing::Values(Case{"base", "A_one_sample", "A_one_sample"},
                                           Case{"base", "B_three", "B_three"},
                                           Case{"base", "B_three_padleft", "B_three_padleft"},
                                           Case{"base", "C_serve_nolabels", "C_serve_nolabels"},
                                           Case{"base", "D_text_only", "D_text_only"},
                                           Case{"base", "E_audio_in_placeholder", "E_audio_in_placeholder"},
                                           Case{"base", "G_encode_audio_in_tokens", "G"},
                                           Case{"fast_forward", "H", "H"}, Case{"tower", "I", "I"}),
                         [](const auto& test_case) { return std::string(test_case.param.file); });

// Keys are stored after RoPE, as the reference does.
TEST(BosonGoldenCache, KeysAndValuesEqualTheReference) {
  const SafetensorsFile file(golden("boson/model/base_F_use_cache.safetensors"));
  HiggsModel& model = model_of("base");
  const PackedBatch batch = pack_boson(test::boson_batch(file, "in."), model.config());
  EXPECT_TRUE(expanded_ids(batch, model.config()).unsqueeze(0).equal(load(file, "expanded_input_ids")));
  std::vector<KvCache> caches = model.make_caches(batch.num_rows);
  ForwardOptions options;
  options.caches = &caches;
  const at::Tensor hidden = model.forward(batch, options);
  const auto expect_equal = [&](const at::Tensor& ours, const std::string& name) {
    at::Tensor theirs = load(file, name);
    if (theirs.dim() == 4) theirs = theirs.squeeze(0).transpose(0, 1);  // [1, heads, N, dim]
    EXPECT_TRUE(close(ours, theirs, kForwardTolerance, name));
  };
  EXPECT_EQ(caches[0].length, batch.num_rows);
  expect_equal(caches[0].keys, "key_cache_layer0");
  expect_equal(caches[0].values, "value_cache_layer0");
  expect_equal(caches[2].keys, "key_cache_last");
  expect_equal(model.text_logits(hidden)[-1].unsqueeze(0), "logits_last");
  const at::Tensor audio = model.audio_logits(hidden.index_select(0, batch.audio_out_rows));
  expect_equal(audio.index({Ellipsis, Slice(0, {}, 32)}), "audio_logits_every_32nd");
}

TEST(AudioTowerGolden, WhatIsHeardEqualsTheReference) {
  const fs::path folder = golden("boson/model/tower");
  const ModelConfig config = read_model_config(folder);
  WeightSource weights(folder, config.layout, at::kFloat, at::kCPU);
  const AudioTower tower(*config.audio_tower, config.hidden_size, weights);
  const SafetensorsFile file(golden("boson/model/tower_I.safetensors"));
  const at::Tensor valid = load(file, "I.in.audio_feature_attention_mask").sum(1);
  const at::Tensor heard = tower.forward(load(file, "I.in.audio_features"), valid);
  EXPECT_TRUE(close(heard, load(file, "I.tower.embed_first_50"), kForwardTolerance, "embed_first_50"));
  for (std::int64_t i = 0; i < valid.size(0); ++i) {
    EXPECT_EQ(num_feature_rows(valid[i].item<std::int64_t>()),
              load(file, "I.tower.lengths")[i].item<std::int64_t>());
  }
}

}  // namespace
}  // namespace higgs
