// Codec folders in the boson layout: what is read from where, and what is refused.
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <fstream>

#include "boson_codec.h"

namespace higgs {
namespace {

using test::boson_codec;
using test::BosonCodecCopy;
using test::external;
using test::FloatTensor;
using test::golden;
using test::user_error;
using testing::HasSubstr;

std::vector<float> clip() {
  // Of a length at which the branches' frame counts differ.
  return SafetensorsFile(golden("hf/synthetic/codec_sweep_24k_none.safetensors")).floats("wav24k");
}

std::vector<std::int16_t> codes_of(const AudioTokenizer& codec) {
  return codec.encode(clip(), "clip").values;
}

TEST(LoadBosonCodec, FollowsTheRuleOfItsLayoutUntilToldOtherwise) {
  BosonCodecCopy copy;
  AudioTokenizer codec(copy.write());
  EXPECT_EQ(codec.rule(), CodecRule::kBoson);
  EXPECT_EQ(codec.num_codebooks(), 8);
  EXPECT_EQ(codec.hop_length(), 960);
  const std::string fingerprint = codec.fingerprint();
  const auto boson = codes_of(codec);
  codec.set_rule(CodecRule::kHf);
  EXPECT_NE(codec.fingerprint(), fingerprint);
  EXPECT_NE(codes_of(codec), boson);
}

TEST(LoadBosonCodec, TheReferencesFileGivesTheSameCodec) {
  const auto folder = external("goldens/boson/codec");
  if (!folder) GTEST_SKIP() << "the reference's model.pth is not part of the repository (HIGGS_TEST_DATA)";
  EXPECT_EQ(codes_of(AudioTokenizer(*folder)), codes_of(boson_codec()));
}

// Takes HuBERT's tensors out of model.pth, each renamed for a file of its own.
std::vector<FloatTensor> take_hubert(BosonCodecCopy& copy, const std::string& prefix) {
  const std::string outer = "semantic_model.";
  std::vector<FloatTensor> taken;
  for (const auto& [name, tensor] : copy.tensors) {
    if (!name.starts_with(outer)) continue;
    taken.push_back(tensor);
    taken.back().name = prefix + name.substr(outer.size());
  }
  std::erase_if(copy.tensors, [&](const auto& entry) { return entry.first.starts_with(outer); });
  return taken;
}

TEST(LoadBosonCodec, TakesHubertFromAFolderBesideIt) {
  BosonCodecCopy copy;
  const std::vector<FloatTensor> hubert = take_hubert(copy, "");
  const fs::path folder = copy.write();
  EXPECT_THAT(
      user_error([&] { AudioTokenizer codec(folder); }),
      testing::AllOf(HasSubstr("model.pth: holds no semantic_model.* tensors, and "),
                     HasSubstr("semantic_model no model.safetensors or pytorch_model.bin; run: hf download "
                               "bosonai/hubert_base --local-dir ")));
  write_file_atomically(folder / "semantic_model/pytorch_model.bin", test::pth_bytes(hubert));
  const AudioTokenizer from_pth(folder);
  EXPECT_EQ(codes_of(from_pth), codes_of(boson_codec()));
  EXPECT_NE(from_pth.fingerprint(), boson_codec().fingerprint());

  std::vector<TensorToWrite> list;
  for (const FloatTensor& tensor : hubert) {
    list.push_back({tensor.name, DType::kF32, tensor.shape, std::as_bytes(std::span(tensor.values))});
  }
  write_safetensors(folder / "semantic_model/model.safetensors", list);
  write_file_atomically(folder / "semantic_model/pytorch_model.bin", "the other file is preferred");
  EXPECT_EQ(codes_of(AudioTokenizer(folder)), codes_of(boson_codec()));
}

TEST(LoadBosonCodec, TakesHubertOutOfAModelForRecognition) {
  BosonCodecCopy copy;
  std::vector<FloatTensor> hubert = take_hubert(copy, "hubert.");
  hubert.push_back({"lm_head.weight", {2, 32}, std::vector<float>(64)});
  const fs::path folder = copy.write();
  write_file_atomically(folder / "semantic_model/pytorch_model.bin", test::pth_bytes(hubert));
  EXPECT_EQ(codes_of(AudioTokenizer(folder)), codes_of(boson_codec()));
}

TEST(LoadBosonCodec, WithoutHubertsSettingsTheBaseModelsAreTaken) {
  BosonCodecCopy copy;
  copy.hubert = nullptr;
  EXPECT_THAT(copy.error(), HasSubstr("HuBERT's width 32 cannot be divided into 12 heads"));
}

TEST(LoadBosonCodec, ReadsBothNamesOfHubertsWeightNorm) {
  BosonCodecCopy copy;
  const std::string conv = "semantic_model.encoder.pos_conv_embed.conv.";
  for (const auto& [from, to] :
       std::map<std::string, std::string>{{"original0", "weight_g"}, {"original1", "weight_v"}}) {
    auto node = copy.tensors.extract(conv + "parametrizations.weight." + from);
    node.mapped().name = node.key() = conv + to;
    copy.tensors.insert(std::move(node));
  }
  EXPECT_EQ(codes_of(AudioTokenizer(copy.write())), codes_of(boson_codec()));
}

TEST(LoadBosonCodec, CallsTensorsByTheNamesOfItsFile) {
  const auto error_with = [](const std::function<void(std::map<std::string, FloatTensor>&)>& change) {
    BosonCodecCopy copy;
    change(copy.tensors);
    return copy.error();
  };
  EXPECT_THAT(
      error_with([](auto& t) { t["quantizer.vq.layers.5._codebook.inited"].values[0] = 0; }),
      HasSubstr("model.pth: 'quantizer.vq.layers.5._codebook.inited' is 0: this codebook was never trained"));
  EXPECT_THAT(error_with([](auto& t) { t.erase("fc_prior.bias"); }),
              HasSubstr("model.pth: tensor 'fc.bias' (as the Hugging Face layout calls it) is missing"));
  EXPECT_THAT(
      error_with([](auto& t) {
        t["encoder.block.2.block.1.block.1.bias"].shape = {2, 2};
      }),
      HasSubstr("tensor 'encoder.block.2.block.1.block.1.bias' has the shape [2, 2], [4] is expected"));
  EXPECT_THAT(error_with([](auto& t) {
                t["encoder.block.9.alpha"] = {"encoder.block.9.alpha", {1}, {1}};
              }),
              HasSubstr("tensor 'encoder.block.9.alpha' is not expected"));
  EXPECT_THAT(error_with([](auto& t) {
                t["acoustic_encoder.conv2.bias"] = {"acoustic_encoder.conv2.bias", {1}, {1}};
              }),
              HasSubstr("model.pth: tensor 'encoder.block.7.bias' is there twice"));
}

TEST(LoadBosonCodec, DoesWithoutTheTensorsOfTraining) {
  BosonCodecCopy copy;
  for (const char* name :
       {"decoder_semantic.conv1.conv.weight", "fc_post1.weight", "fc_post1.bias",
        "quantizer.vq.layers.0._codebook.cluster_size", "quantizer.vq.layers.0._codebook.embed_avg"}) {
    copy.tensors[name] = {name, {2}, {1, 2}};
  }
  EXPECT_EQ(codes_of(AudioTokenizer(copy.write())), codes_of(boson_codec()));
}

TEST(LoadBosonCodec, RefusesWhatItsConfigurationAsksForByName) {
  const auto error_with = [](const std::string& key, const Json& value) {
    BosonCodecCopy copy;
    copy.config[key] = value;
    if (value.is_null()) copy.config.erase(key);
    return copy.error();
  };
  EXPECT_THAT(
      error_with("semantic_techer", "wavlm_base_plus"),
      HasSubstr("config.json: key 'semantic_techer' is 'wavlm_base_plus'; only 'hubert_base_general'"));
  EXPECT_THAT(error_with("downsample_mode", "avg"), HasSubstr("key 'downsample_mode' is 'avg'"));
  EXPECT_THAT(error_with("bins", {8, 5, 5}), HasSubstr("key 'bins'"));
  EXPECT_THAT(error_with("codebook_dim", nullptr), HasSubstr("key 'codebook_dim' is missing"));
  EXPECT_THAT(error_with("codebook_dim", 16),
              HasSubstr("key 'codebook_dim' is 16, tensor 'quantizer.vq.layers.0._codebook.embed' of "));
  EXPECT_THAT(error_with("D", 128), HasSubstr("key 'D' is 128, tensor 'encoder.block.7.bias' of "));
  EXPECT_THAT(error_with("n_qq", 8), HasSubstr("key 'n_qq' is unknown"));
  EXPECT_THAT(error_with("n_q", 9), HasSubstr("'quantizer.quantizers.8.codebook.embed' (as the"));
  EXPECT_THAT(error_with("n_q", 7),
              HasSubstr("tensor 'quantizer.vq.layers.7._codebook.embed' (and 5 more) is not expected"));
  EXPECT_THAT(error_with("ratios", std::vector<int>(8, 64)), HasSubstr("ratios multiply to"));
  EXPECT_THAT(error_with("ratios", nullptr), HasSubstr("model.pth: tensor '"));
}

TEST(LoadBosonCodec, NamesAMissingOrDamagedFile) {
  BosonCodecCopy copy;
  const fs::path folder = copy.write();
  const std::string whole = read_file(folder / "model.pth");
  const auto error_of = [&](const std::string& bytes) {
    std::ofstream(folder / "model.pth", std::ios::binary | std::ios::trunc) << bytes;
    return user_error([&] { AudioTokenizer codec(folder); });
  };
  EXPECT_THAT(error_of(whole.substr(0, whole.size() / 2)), HasSubstr("model.pth: is truncated"));
  std::string damaged = whole;
  damaged[whole.size() / 2] ^= 1;
  EXPECT_THAT(error_of(damaged), testing::MatchesRegex(".*model.pth: record 'data/[0-9]+' is damaged .*"));
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
              HasSubstr("model.pth: is a git-LFS pointer, not the file itself"));
  fs::remove(folder / "model.pth");
  EXPECT_THAT(user_error([&] { AudioTokenizer codec(folder); }),
              HasSubstr("model.pth: is missing; download it again"));
}

}  // namespace
}  // namespace higgs
