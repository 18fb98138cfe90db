// What a checkpoint in boson's layout may look like beside the plain one: partly frozen modules stored in two
// parts, heads stored twice, tensors without a use.
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "support/base_copy.h"
#include "support/golden_batch.h"

namespace higgs {
namespace {

using test::BaseCopy;
using test::golden;
using ::testing::HasSubstr;

constexpr const char* kTextHead = "audio_decoder_proj.text_lm_head";
constexpr const char* kAudioHead = "audio_decoder_proj.audio_lm_head";

class BosonCheckpoint : public ::testing::Test {
 protected:
  BosonCheckpoint() : copy("boson/model/fast_forward") {}

  // NAME.weight -> NAME.KIND_frozen.weight, the first `rows`, and NAME.KIND_trainable.weight.
  void split(const std::string& name, const std::string& kind, std::int64_t rows, bool keep_whole = false) {
    const at::Tensor whole = copy.tensors.at(name + ".weight");
    copy.tensors[name + "." + kind + "_frozen.weight"] = whole.slice(0, 0, rows).contiguous();
    copy.tensors[name + "." + kind + "_trainable.weight"] = whole.slice(0, rows).contiguous();
    if (!keep_whole) copy.tensors.erase(name + ".weight");
  }
  void expect_same_model() {
    const PackedBatch batch =
        pack(test::boson_batch(SafetensorsFile(golden("boson/model/fast_forward_H.safetensors")), "H.in."),
             {271, 272, 8});
    HiggsModel one(golden("boson/model/fast_forward"), at::kFloat, at::kCPU), other = copy.model();
    const at::Tensor hidden = one.forward(batch);
    EXPECT_TRUE(other.forward(batch).equal(hidden));
    EXPECT_TRUE(other.text_logits(hidden).equal(one.text_logits(hidden)));
    EXPECT_TRUE(other.audio_logits(hidden).equal(one.audio_logits(hidden)));
  }
  BaseCopy copy;
};

TEST_F(BosonCheckpoint, PutsPartlyFrozenModulesTogether) {
  split("embed_tokens", "embedding", 300);
  split(kTextHead, "linear", 300);
  split(kAudioHead, "linear", 1);
  split("audio_codebook_embeddings", "embedding", 511);
  expect_same_model();
}

TEST_F(BosonCheckpoint, NamesAMissingPart) {
  split(kTextHead, "linear", 300);
  copy.tensors.erase("audio_decoder_proj.text_lm_head.linear_trainable.weight");
  EXPECT_THAT(
      copy.error(),
      HasSubstr(
          "'audio_decoder_proj.text_lm_head.linear_trainable.weight' is missing: its other part is there"));
}

TEST_F(BosonCheckpoint, NamesPartsThatDoNotFit) {
  split("embed_tokens", "embedding", 300);
  copy.tensors["embed_tokens.embedding_trainable.weight"] = at::zeros({10, 32}, at::kBFloat16);
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'embed_tokens.embedding_frozen.weight' of [300, 32] and its "
                                      "trainable part of [10, 32] do not make the tensor of [512, 32]"));
}

TEST_F(BosonCheckpoint, TakesDuplicatesThatAgree) {
  split("embed_tokens", "embedding", 300, /*keep_whole=*/true);
  copy.tensors["audio_lm_head.weight"] = copy.tensors.at(std::string(kAudioHead) + ".weight");
  copy.tensors["lm_head.weight"] = copy.tensors["text_lm_head.weight"] =
      copy.tensors.at(std::string(kTextHead) + ".weight");
  expect_same_model();
}

TEST_F(BosonCheckpoint, NamesDuplicatesThatDiffer) {
  copy.tensors["audio_lm_head.weight"] = at::zeros({512, 32}, at::kBFloat16);
  EXPECT_THAT(copy.error(), HasSubstr("'audio_lm_head.weight' differs from "
                                      "'audio_decoder_proj.audio_lm_head.weight'"));
  copy.tensors.erase("audio_lm_head.weight");
  split("embed_tokens", "embedding", 300, /*keep_whole=*/true);
  copy.tensors["embed_tokens.embedding_frozen.weight"] = at::zeros({300, 32}, at::kBFloat16);
  EXPECT_THAT(copy.error(), HasSubstr("'embed_tokens.weight' is stored in two parts as well, with other"));
}

TEST_F(BosonCheckpoint, TakesHeadsFromTheirOtherNamesAlone) {
  for (const char* head : {"text_lm_head.weight", "audio_lm_head.weight"}) {
    copy.tensors[head] = copy.tensors.at(std::string("audio_decoder_proj.") + head);
    copy.tensors.erase(std::string("audio_decoder_proj.") + head);
  }
  expect_same_model();
}

TEST_F(BosonCheckpoint, IgnoresWhatTheReferenceIgnores) {
  copy.tensors["audio_codebook_weights"] = at::zeros({8});
  copy.tensors["layers.0.self_attn.rotary_emb.inv_freq"] = at::zeros({8});
  copy.tensors["rotary_emb.inv_freq"] = at::zeros({8});
  copy.tensors["audio_tower.conv1.bias"] = at::zeros({32});  // of a tower that config.json skips
  expect_same_model();
}

// The Python class would draw one at random. Only an HF base may lack it.
TEST_F(BosonCheckpoint, NamesAMissingTextHead) {
  copy.tensors.erase(std::string(kTextHead) + ".weight");
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'audio_decoder_proj.text_lm_head.weight' is missing"));
}

// Parts are boson's alone.
TEST(HfCheckpoint, HasNoParts) {
  BaseCopy copy("hf/model");
  const at::Tensor whole = copy.tensors.at("text_lm_head.weight");
  copy.tensors["text_lm_head.linear_frozen.weight"] = whole.slice(0, 0, 5).contiguous();
  EXPECT_THAT(copy.error(), HasSubstr("no place for (text_lm_head.linear_frozen.weight)"));
}

}  // namespace
}  // namespace higgs
