// The model in boson's layout against boson_multimodal (goldens boson/model): the batches of its own
// collator.
#include <ATen/TensorIndexing.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <gmock/gmock.h>

#include "higgs/model/higgs_model.h"
#include "support/golden_batch.h"
#include "support/paths.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::at_real_positions;
using test::golden;
using test::load;
using test::relative_difference;

// Two float32 implementations of the same sums (README of the goldens: 4e-6 measured against float64).
constexpr double kTolerance = 2e-5;

HiggsModel& model() {
  static HiggsModel one(golden("boson/model/base"), at::kFloat, at::kCPU);
  return one;
}

PackedBatch pack_boson(const CollatedBatch& batch) {
  const ModelConfig& config = model().config();
  return pack(batch, {*config.audio_in_token_id, *config.audio_out_token_id, config.num_codebooks, 0});
}

struct Case {
  const char* file;
  const char* name;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.file;
}

class BosonGolden : public ::testing::TestWithParam<Case> {
 protected:
  BosonGolden()
      : file(golden(std::string("boson/model/base_") + GetParam().file + ".safetensors")),
        batch(pack_boson(test::boson_batch(file, GetParam().name + std::string(".in.")))) {}

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

TEST_P(BosonGolden, PackKeepsTheRealPositionsAlone) {
  const at::Tensor mask = want("attention_mask");
  EXPECT_EQ(batch.num_rows, mask.sum().item<std::int64_t>());
  EXPECT_TRUE(batch.positions.equal(want_at_real_positions("position_ids")));
  EXPECT_TRUE(batch.kind.eq(2).equal(want_at_real_positions("audio_out_mask").ne(0)));
}

TEST_P(BosonGolden, OutputsEqualTheReference) {
  std::vector<at::Tensor> layers;
  ForwardOptions options;
  options.layer_outputs = &layers;
  const at::Tensor hidden = model().forward(batch, options);
  ASSERT_EQ(layers.size(), 3u);
  for (const auto& [name, layer] :
       {std::pair<const char*, int>{"hidden_1", 0}, {"hidden_2", 1}, {"hidden_3_before_final_norm", 2}}) {
    if (!has(name)) continue;
    EXPECT_LT(relative_difference(layers[static_cast<std::size_t>(layer)], want_at_real_positions(name)),
              kTolerance)
        << name;
  }
  if (has("hidden_final_norm")) {
    EXPECT_LT(relative_difference(hidden, want_at_real_positions("hidden_final_norm")), kTolerance);
  }
  const at::Tensor text = model().text_logits(hidden);
  EXPECT_LT(relative_difference(at::logsumexp(text, -1), want_at_real_positions("logits_lse")), kTolerance);
  compare_argmax(text, want_at_real_positions("logits_argmax"));
  const auto [field, step] = strided_field("logits");
  EXPECT_LT(relative_difference(text.index({Slice(), Slice(0, {}, step)}), want_at_real_positions(field)),
            kTolerance);
}

TEST_P(BosonGolden, AudioLogitsEqualTheReference) {
  if (!has("audio_logits_lse")) {
    EXPECT_EQ(batch.audio_out_rows.numel(), 0);
    return;
  }
  const at::Tensor hidden = model().forward(batch);
  const at::Tensor audio = model().audio_logits(hidden.index_select(0, batch.audio_out_rows));
  EXPECT_LT(relative_difference(at::logsumexp(audio, -1), want("audio_logits_lse")), kTolerance);
  compare_argmax(audio, want("audio_logits_argmax"));
  const auto [field, step] = strided_field("audio_logits");
  EXPECT_LT(relative_difference(audio.index({Ellipsis, Slice(0, {}, step)}), want(field)), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, BosonGolden,
                         ::testing::Values(Case{"A_one_sample", "A_one_sample"}, Case{"B_three", "B_three"},
                                           Case{"B_three_padleft", "B_three_padleft"},
                                           Case{"C_serve_nolabels", "C_serve_nolabels"},
                                           Case{"D_text_only", "D_text_only"},
                                           Case{"E_audio_in_placeholder", "E_audio_in_placeholder"},
                                           Case{"G_encode_audio_in_tokens", "G"}),
                         [](const auto& test_case) { return std::string(test_case.param.file); });

// Keys are stored after RoPE, as the reference does.
TEST(BosonGoldenCache, KeysAndValuesEqualTheReference) {
  const SafetensorsFile file(golden("boson/model/base_F_use_cache.safetensors"));
  const PackedBatch batch = pack_boson(test::boson_batch(file, "in."));
  std::vector<KvCache> caches = model().make_caches(batch.num_rows);
  ForwardOptions options;
  options.caches = &caches;
  const at::Tensor hidden = model().forward(batch, options);
  const auto want = [&](const char* name) { return load(file, name).squeeze(0).transpose(0, 1); };
  EXPECT_EQ(caches[0].length, batch.num_rows);
  EXPECT_LT(relative_difference(caches[0].keys, want("key_cache_layer0")), kTolerance);
  EXPECT_LT(relative_difference(caches[0].values, want("value_cache_layer0")), kTolerance);
  EXPECT_LT(relative_difference(caches[2].keys, want("key_cache_last")), kTolerance);
  EXPECT_LT(relative_difference(model().text_logits(hidden)[-1].unsqueeze(0), load(file, "logits_last")),
            kTolerance);
  const at::Tensor audio = model().audio_logits(hidden.index_select(0, batch.audio_out_rows));
  EXPECT_LT(
      relative_difference(audio.index({Ellipsis, Slice(0, {}, 32)}), load(file, "audio_logits_every_32nd")),
      kTolerance);
}

TEST(BosonConfig, VariantsThatAreNotDoneAreRefusedByName) {
  EXPECT_THAT(test::user_error([] { read_model_config(golden("boson/model/fast_forward")); }),
              ::testing::HasSubstr("fast_forward/config.json: audio_dual_ffn_layers must name every layer"));
  EXPECT_THAT(
      test::user_error([] { read_model_config(golden("boson/model/tower")); }),
      ::testing::HasSubstr("tower/config.json: skip_audio_tower false (Whisper features) is not supported"));
}

}  // namespace
}  // namespace higgs
