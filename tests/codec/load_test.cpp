#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <limits>

#include "golden_case.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {

using test::golden;
using test::golden_codec;
using test::TemporaryFolder;
using test::user_error;
using testing::HasSubstr;

struct OwnedTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// The golden codec's tensors, to be changed and written elsewhere.
class CodecCopy {
 public:
  CodecCopy() : config(read_json_file(golden("hf/codec/config.json"))) {
    const SafetensorsFile file(golden("hf/codec/model.safetensors"));
    for (const auto& [name, view] : file.tensors()) tensors[name] = {view.shape, file.floats(name)};
  }
  fs::path write() {
    std::vector<TensorToWrite> list;
    for (const auto& [name, tensor] : tensors) {
      list.push_back({name, DType::kF32, tensor.shape, std::as_bytes(std::span(tensor.values))});
    }
    write_safetensors(folder / "model.safetensors", list);
    write_file_atomically(folder / "config.json", config.dump());
    return folder.path();
  }
  std::string error() {
    const fs::path path = write();
    return user_error([&] { AudioTokenizer codec(path); });
  }
  Json& hubert() { return config["semantic_model_config"]; }

  TemporaryFolder folder;
  Json config;
  std::map<std::string, OwnedTensor> tensors;
};

std::vector<float> clip() {
  return SafetensorsFile(golden("hf/synthetic/codec_word_44k_none.safetensors")).floats("wav24k");
}

TEST(LoadCodec, NamesAMissingTensor) {
  CodecCopy copy;
  copy.tensors.erase("fc2.weight");
  EXPECT_THAT(copy.error(), HasSubstr("model.safetensors: tensor 'fc2.weight' is missing"));
}

TEST(LoadCodec, NamesAnUnexpectedTensor) {
  CodecCopy copy;
  copy.tensors["semantic_model.encoder.layers.2.final_layer_norm.bias"] = {{1}, {0.0f}};
  copy.tensors["semantic_model.encoder.layers.2.final_layer_norm.weight"] = {{1}, {0.0f}};
  EXPECT_THAT(copy.error(),
              HasSubstr("tensor 'semantic_model.encoder.layers.2.final_layer_norm.bias' (and 1 more) is "
                        "not expected"));
}

TEST(LoadCodec, NamesAWrongShape) {
  CodecCopy copy;
  copy.tensors["fc.weight"] = {{48, 47}, std::vector<float>(48 * 47)};
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'fc.weight' has the shape [48, 47], [any, 48] is expected"));
}

TEST(LoadCodec, RefusesWeightsThatAreNotFinite) {
  CodecCopy copy;
  copy.tensors["acoustic_encoder.conv1.weight"].values[3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(copy.error(),
              HasSubstr("tensor 'acoustic_encoder.conv1.weight' holds values that are not finite"));
}

TEST(LoadCodec, RefusesACodebookThatWasNeverTrained) {
  CodecCopy copy;
  copy.tensors["quantizer.quantizers.5.codebook.inited"].values[0] = 0.0f;
  EXPECT_THAT(copy.error(), HasSubstr("'quantizer.quantizers.5.codebook.inited' is 0"));
}

TEST(LoadCodec, DoesWithoutTheTensorsOfTraining) {
  CodecCopy copy;
  std::erase_if(copy.tensors, [](const auto& entry) {
    const std::string& name = entry.first;
    return name.starts_with("decoder_semantic.") || name.starts_with("fc1.") ||
           name.ends_with(".cluster_size") || name.ends_with(".embed_avg");
  });
  copy.tensors["semantic_model.masked_spec_embed"] = {{32}, std::vector<float>(32)};
  const AudioTokenizer codec(copy.write());
  EXPECT_EQ(codec.encode(clip(), "clip").values, golden_codec().encode(clip(), "clip").values);
}

// Stores `weight` as magnitude and direction, the direction scaled by 3, so that only the merge restores it.
void split(CodecCopy& copy, const std::string& prefix, const std::string& magnitude,
           const std::string& direction) {
  OwnedTensor weight = copy.tensors.at(prefix + ".weight");
  copy.tensors.erase(prefix + ".weight");
  const auto outer = static_cast<std::size_t>(weight.shape[0]);
  const std::size_t inner = weight.values.size() / outer;
  OwnedTensor norms{{weight.shape[0], 1, 1}, {}};
  for (std::size_t row = 0; row < outer; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < inner; ++i) sum += std::pow(weight.values[row * inner + i], 2);
    norms.values.push_back(static_cast<float>(std::sqrt(sum)));
  }
  for (float& value : weight.values) value *= 3;
  copy.tensors[prefix + magnitude] = norms;
  copy.tensors[prefix + direction] = weight;
}

TEST(LoadCodec, MergesWeightNormsOfBothNamings) {
  CodecCopy copy;
  split(copy, "acoustic_encoder.block.1.conv1", ".weight_g", ".weight_v");
  split(copy, "acoustic_encoder.block.2.res_unit2.conv1", ".parametrizations.weight.original0",
        ".parametrizations.weight.original1");
  split(copy, "acoustic_decoder.block.0.conv_t1", ".weight_g", ".weight_v");
  const AudioTokenizer codec(copy.write());
  CodecFeatures merged;
  CodecFeatures plain;
  codec.encode(clip(), "clip", &merged);
  const Codes codes = golden_codec().encode(clip(), "clip", &plain);
  EXPECT_LE(test::relative_difference(test::values_of(merged.acoustic), test::values_of(plain.acoustic)),
            1e-5);
  EXPECT_LE(test::relative_difference(codec.decode(codes), golden_codec().decode(codes)), 1e-3);
}

TEST(LoadCodec, NamesHalfAWeightNorm) {
  CodecCopy copy;
  split(copy, "acoustic_encoder.block.1.conv1", ".weight_g", ".weight_v");
  copy.tensors.erase("acoustic_encoder.block.1.conv1.weight_g");
  EXPECT_THAT(copy.error(), HasSubstr("tensor 'acoustic_encoder.block.1.conv1.weight_g' is missing"));
}

TEST(LoadCodec, RefusesOtherModelsByName) {
  CodecCopy copy;
  copy.config["model_type"] = "higgs_audio_v2";
  EXPECT_THAT(copy.error(), HasSubstr("config.json: model_type is 'higgs_audio_v2', an audio tokenizer has "
                                      "'higgs_audio_v2_tokenizer'"));
  copy.config.erase("model_type");
  EXPECT_THAT(copy.error(), HasSubstr("model_type is ''"));
}

TEST(LoadCodec, RefusesHubertVariantsByName) {
  const auto error_with = [](const char* key, const Json& value) {
    CodecCopy copy;
    copy.hubert()[key] = value;
    return copy.error();
  };
  EXPECT_THAT(error_with("feat_extract_norm", "layer"),
              HasSubstr("key 'feat_extract_norm' is 'layer'; only 'group' is supported"));
  EXPECT_THAT(error_with("do_stable_layer_norm", true), HasSubstr("'do_stable_layer_norm' is not supported"));
  EXPECT_THAT(error_with("conv_pos_batch_norm", true), HasSubstr("'conv_pos_batch_norm' is not supported"));
  EXPECT_THAT(error_with("hidden_act", "gelu_new"), HasSubstr("key 'hidden_act' is 'gelu_new'"));
  EXPECT_THAT(error_with("model_type", "wavlm"), HasSubstr("key 'model_type' is 'wavlm'"));
  EXPECT_THAT(error_with("num_attention_heads", 5), HasSubstr("width 32 cannot be divided into 5 heads"));
  EXPECT_THAT(error_with("num_attention_heads", 0), HasSubstr("'num_attention_heads' must be 1 to 1000"));
}

TEST(LoadCodec, RefusesSettingsThatMakeNoSense) {
  const auto error_with = [](const std::function<void(Json&)>& change) {
    CodecCopy copy;
    change(copy.config);
    return copy.error();
  };
  EXPECT_THAT(error_with([](Json& c) {
                c["acoustic_model_config"]["upsampling_ratios"] = {8, 5, 4, 2};
              }),
              HasSubstr("downsampling_ratios multiply to 960, upsampling_ratios to 320"));
  EXPECT_THAT(error_with([](Json& c) { c["acoustic_model_config"]["downsampling_ratios"] = {0}; }),
              HasSubstr("'downsampling_ratios' must be a list of 1 to 8 numbers from 1 to 64"));
  EXPECT_THAT(error_with([](Json& c) {
                c["acoustic_model_config"]["downsampling_ratios"] = std::vector<int>(8, 64);
              }),
              HasSubstr("samples per frame, more than 65536"));
  EXPECT_THAT(error_with([](Json& c) { c["sample_rate"] = -1; }), HasSubstr("'sample_rate' must be 1 to"));
  EXPECT_THAT(error_with([](Json& c) { c["codebook_size"] = 512; }),
              HasSubstr("codebook.embed' has the shape [1024, 8], [512, any] is expected"));
  EXPECT_THAT(error_with([](Json& c) { c["target_bandwidths"] = {4.0}; }),
              HasSubstr("tensor 'quantizer.quantizers.8.codebook.embed' is missing"));
  EXPECT_THAT(error_with([](Json& c) { c["target_bandwidths"] = {0.01}; }),
              HasSubstr("asks for no sensible number of quantizers"));
}

TEST(LoadCodec, NamesAFolderThatIsMissing) {
  EXPECT_THAT(user_error([] { AudioTokenizer codec("/nonexistent/codec"); }),
              HasSubstr("/nonexistent/codec/config.json: cannot be opened"));
}

TEST(LoadCodec, HashesWeightsAndConfiguration) {
  CodecCopy copy;
  const std::string first = AudioTokenizer(copy.write()).fingerprint();
  EXPECT_EQ(AudioTokenizer(copy.folder.path()).fingerprint(), first);
  EXPECT_EQ(first.size(), 32u);
  copy.tensors["fc2.bias"].values[0] += 1e-6f;
  const std::string second = AudioTokenizer(copy.write()).fingerprint();
  EXPECT_NE(second, first);
  copy.config["initializer_range"] = 0.03;
  EXPECT_NE(AudioTokenizer(copy.write()).fingerprint(), second);
}

TEST(LoadCodec, NamesATruncatedFile) {
  CodecCopy copy;
  const fs::path path = copy.write() / "model.safetensors";
  const std::string whole = read_file(path);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{5000}, whole.size() - 1}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    EXPECT_THAT(user_error([&] { AudioTokenizer codec(copy.folder.path()); }), HasSubstr(path.string()))
        << size;
  }
}

// A flipped bit in the header is a UserError or changes nothing that matters; it never crashes.
TEST(LoadCodec, SurvivesFlippedBits) {
  CodecCopy copy;
  const fs::path path = copy.write() / "model.safetensors";
  const std::string whole = read_file(path);
  int refused = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    std::string flipped = whole;
    flipped[i < 8 ? i : i * 997 % 30000] ^= static_cast<char>(1 << (i % 7));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << flipped;
    try {
      AudioTokenizer codec(copy.folder.path());
    } catch (const UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 40);
}

}  // namespace
}  // namespace higgs
