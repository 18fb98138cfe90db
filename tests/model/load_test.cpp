// Loading a base: all tensors, each of its shape, none left over; both layouts give one model.
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "support/base_copy.h"

namespace higgs {
namespace {

using test::BaseCopy;
using test::golden;
using test::store;
using test::TemporaryFolder;
using test::user_error;
using ::testing::HasSubstr;

// One sample of text and frames, enough for every weight to act.
PackedBatch some_batch() {
  CollatedBatch batch;
  batch.input_ids = IdMatrix(1, 5);
  batch.input_ids.values = {3, 9, 300, 272, 7};
  batch.attention_mask = IdMatrix(1, 5, 1);
  batch.audio_out_ids = IdMatrix(8, 12, 5);
  batch.audio_out_ids_start = {0};
  return pack(batch, {-1, 272, 8});
}

TEST(LoadModel, NamesAMissingTensor) {
  BaseCopy hf("hf/model");
  hf.tensors.erase("model.layers.1.audio_mlp.up_proj.weight");
  EXPECT_THAT(hf.error(), HasSubstr("tensor 'model.layers.1.audio_mlp.up_proj.weight' is missing"));
  BaseCopy boson("boson/model/base");
  boson.tensors.erase("audio_codebook_embeddings.weight");
  EXPECT_THAT(boson.error(), HasSubstr("tensor 'audio_codebook_embeddings.weight' is missing"));
}

TEST(LoadModel, NamesUnexpectedTensors) {
  BaseCopy copy("hf/model");
  copy.tensors["model.layers.2.mlp.up_proj.weight"] = at::zeros({128, 64});
  EXPECT_THAT(copy.error(),
              HasSubstr("1 tensors this model has no place for (model.layers.2.mlp.up_proj.weight)"));
}

TEST(LoadModel, NamesAWrongShape) {
  BaseCopy copy("hf/model");
  copy.tensors["model.layers.0.self_attn.k_proj.weight"] = at::zeros({64, 64});
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'model.layers.0.self_attn.k_proj.weight' has shape [64, 64], "
                                      "config.json asks for [32, 64]"));
}

TEST(LoadModel, NamesATensorOfIntegers) {
  BaseCopy copy("hf/model");
  copy.tensors["model.norm.weight"] = at::zeros({64}, at::kLong);
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'model.norm.weight' must hold floating point numbers"));
}

// Boson tensors under an HF configuration load "mostly" in Python, with random audio weights. Not here.
TEST(LoadModel, RefusesTheOtherLayoutsTensors) {
  BaseCopy hf("hf/model"), boson("boson/model/base");
  hf.tensors = boson.tensors;
  EXPECT_THAT(hf.error(),
              HasSubstr("tensor 'model.embed_tokens.weight' is missing; is config.json of another model?"));
}

TEST(LoadModel, DoesWithoutATextHead) {
  BaseCopy copy("hf/model");
  copy.tensors.erase("text_lm_head.weight");
  EXPECT_FALSE(HiggsModel(copy.write(), at::kFloat, at::kCPU).has_text_head());
  EXPECT_TRUE(HiggsModel(golden("hf/model"), at::kFloat, at::kCPU).has_text_head());
}

TEST(LoadModel, NamesATruncatedFileAndAnLfsPointer) {
  BaseCopy copy("hf/model");
  const fs::path file = copy.write() / "model.safetensors";
  const std::string whole = test::text_of(file);
  const auto error = [&] {
    return user_error([&] { HiggsModel model(copy.folder.path(), at::kFloat, at::kCPU); });
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, std::size_t{2000}, whole.size() - 1}) {
    test::write_text(file, whole.substr(0, size));
    EXPECT_THAT(error(), HasSubstr(file.string())) << size;
  }
  test::write_text(file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2875992\n");
  EXPECT_THAT(error(), HasSubstr("model.safetensors: is a git-LFS pointer"));
}

// Shards hold the same model.
TEST(LoadModel, ReadsShards) {
  BaseCopy copy("hf/model");
  std::map<std::string, at::Tensor> shards[2];
  Json map = Json::object();
  int i = 0;
  for (const auto& [name, tensor] : copy.tensors) {
    map[name] = i % 2 == 0 ? "a.safetensors" : "b.safetensors";
    shards[i++ % 2][name] = tensor;
  }
  const TemporaryFolder folder;
  store(folder / "a.safetensors", shards[0]);
  store(folder / "b.safetensors", shards[1]);
  test::write_text(folder / "config.json", copy.config.dump());
  test::write_text(folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  const PackedBatch batch = some_batch();
  HiggsModel sharded(folder.path(), at::kFloat, at::kCPU), single(golden("hf/model"), at::kFloat, at::kCPU);
  EXPECT_TRUE(sharded.forward(batch).equal(single.forward(batch)));
}

// Every tensor of the file is used: changing any one changes the outputs.
TEST(LoadModel, EveryTensorActs) {
  BaseCopy copy("hf/model");
  const PackedBatch batch = some_batch();
  const auto outputs = [&] {
    HiggsModel model(copy.write(), at::kFloat, at::kCPU);
    const at::Tensor hidden = model.forward(batch);
    return std::tuple{hidden, model.text_logits(hidden), model.audio_logits(hidden)};
  };
  const auto before = outputs();
  for (auto& [name, tensor] : copy.tensors) {
    const at::Tensor kept = tensor;
    tensor = tensor.mul(2);
    const auto after = outputs();
    EXPECT_FALSE(std::get<0>(after).equal(std::get<0>(before)) &&
                 std::get<1>(after).equal(std::get<1>(before)) &&
                 std::get<2>(after).equal(std::get<2>(before)))
        << name;
    tensor = kept;
  }
}

}  // namespace
}  // namespace higgs
