// Adapters that carry whole tensors of the base (peft's modules_to_save): used instead of the base's, which
// stay as they were.
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "higgs/base/hash.h"
#include "higgs/model/adapter.h"
#include "support/changed_adapter.h"
#include "support/golden_batch.h"

namespace higgs {
namespace {

using test::AdapterCopy;
using test::golden;
using test::load;
using test::user_error;
using ::testing::HasSubstr;

std::string hash_of(const fs::path& file) {
  const MappedFile mapped(file);
  return Hasher().update(mapped.bytes()).hex();
}

class SavedModules : public ::testing::Test {
 protected:
  SavedModules() : copy("hf/adapter_lora"), base_hash(hash_of(golden("hf/model/model.safetensors"))) {}
  ~SavedModules() override {
    EXPECT_EQ(hash_of(golden("hf/model/model.safetensors")), base_hash) << "the base was written to";
  }

  // A tensor of the base with other values, in its type.
  static at::Tensor changed(const std::string& name) {
    const at::Tensor tensor = load(SafetensorsFile(golden("hf/model/model.safetensors")), name);
    return (tensor + 0.5 * at::randn_like(tensor)).to(tensor.scalar_type());
  }

  AdapterCopy copy;
  std::string base_hash;
};

struct Place {
  const char* module;     // as peft's user names it
  const char* stored;     // in the base and, behind base_model.model., in the adapter
  const char* canonical;  // in the model
};

class SavedModule : public SavedModules, public ::testing::WithParamInterface<Place> {};

TEST_P(SavedModule, StandsInForTheBasesAndIsTakenOffAtTheEnd) {
  const Place& place = GetParam();
  const at::Tensor tensor = changed(place.stored);
  copy.save_module(place.module, place.stored, tensor);
  const fs::path folder = copy.write();
  for (const at::ScalarType dtype :
       {at::kBFloat16, at::kFloat}) {  // as stored (a view of the file), and converted
    HiggsModel model(golden("hf/model"), dtype, at::kCPU);
    const test::HfBatch batch(golden("hf/batch_right.safetensors"), golden("hf/model"));
    const auto outputs = [&] {
      const at::Tensor hidden = model.forward(batch.packed);
      return std::vector<at::Tensor>{hidden.detach(), model.audio_logits(hidden).detach(),
                                     model.text_logits(hidden).detach()};
    };
    const auto base = outputs();
    const at::Tensor before = model.weight(place.canonical).clone();
    std::vector<at::Tensor> with_lora;
    {
      const Adapter lora(model, golden("hf/adapter_lora"));
      with_lora = outputs();
    }
    {
      Adapter adapter(model, folder);
      EXPECT_EQ(adapter.saved_tensors(), std::vector<std::string>{place.stored});
      EXPECT_TRUE(model.weight(place.canonical).equal(tensor.to(dtype)));
      const auto ours = outputs();
      bool differs = false;
      for (std::size_t i = 0; i < ours.size(); ++i) differs = differs || !ours[i].equal(with_lora[i]);
      EXPECT_TRUE(differs) << "the model doesn't use it";
      {
        const WithoutAdapter off(adapter);
        const auto of_base = outputs();
        for (std::size_t i = 0; i < base.size(); ++i) EXPECT_TRUE(of_base[i].equal(base[i])) << i;
      }
      const auto again = outputs();
      for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(again[i].equal(ours[i])) << i;
    }
    EXPECT_TRUE(model.weight(place.canonical).equal(before));
    const auto after = outputs();
    for (std::size_t i = 0; i < after.size(); ++i) EXPECT_TRUE(after[i].equal(base[i])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SavedModule,
    ::testing::Values(Place{"audio_lm_head", "audio_lm_head.weight", "audio_lm_head.weight"},
                      Place{"text_lm_head", "text_lm_head.weight", "text_lm_head.weight"},
                      Place{"embed_audio_tokens.embed_audio_tokens",
                            "model.embed_audio_tokens.embed_audio_tokens.weight", "audio_embed.weight"},
                      Place{"embed_tokens", "model.embed_tokens.weight", "embed_tokens.weight"},
                      Place{"norm", "model.norm.weight", "norm.weight"},
                      Place{"1.audio_input_layernorm", "model.layers.1.audio_input_layernorm.weight",
                            "layers.1.audio_input_layernorm.weight"}),
    [](const auto& test_case) {
      std::string name = test_case.param.canonical;
      for (char& c : name) c = c == '.' ? '_' : c;
      return name;
    });

// Only the head differs, so the logits are those of the hidden states times the saved head.
TEST_F(SavedModules, AHeadGivesItsOwnLogits) {
  const at::Tensor head = changed("audio_lm_head.weight");
  copy.save_module("audio_lm_head", "audio_lm_head.weight", head);
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const Adapter adapter(model, copy.write());
  const test::HfBatch batch(golden("hf/batch_right.safetensors"), golden("hf/model"));
  const at::Tensor hidden = model.forward(batch.packed).detach();
  const at::Tensor want = hidden.mm(head.to(at::kFloat).t()).view({hidden.size(0), 8, -1});
  EXPECT_LT(test::relative_difference(model.audio_logits(hidden), want), 1e-6);
}

TEST_F(SavedModules, AreWrittenAsTheyWereRead) {
  const at::Tensor head = changed("audio_lm_head.weight");
  copy.save_module("audio_lm_head", "audio_lm_head.weight", head);
  const test::TemporaryFolder folder;
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  {
    const Adapter adapter(model, copy.write());
    adapter.save(folder.path());
  }
  const SafetensorsFile written(folder / "adapter_model.safetensors");
  EXPECT_EQ(written.at("base_model.model.audio_lm_head.weight").dtype, DType::kBF16);
  EXPECT_TRUE(load(written, "base_model.model.audio_lm_head.weight").equal(head));
  EXPECT_EQ(read_json_file(folder / "adapter_config.json").at("modules_to_save"), Json{"audio_lm_head"});
}

TEST_F(SavedModules, OfTheBosonLayoutHaveItsNames) {
  AdapterCopy boson("boson/lora/adapter_final");
  const std::string name = "audio_decoder_proj.audio_lm_head.weight";
  const SafetensorsFile base(golden("boson/model/base/model.safetensors"));
  boson.save_module("audio_decoder_proj.audio_lm_head", name, load(base, name) * 2);
  HiggsModel model(golden("boson/model/base"), at::kFloat, at::kCPU);
  const Adapter adapter(model, boson.write());
  EXPECT_TRUE(model.weight("audio_lm_head.weight").equal(load(base, name).to(at::kFloat) * 2));
}

std::string refusal(const AdapterCopy& copy) {
  static HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const fs::path folder = copy.write();
  return user_error([&] { Adapter adapter(model, folder); });
}

TEST_F(SavedModules, OfAnotherShapeAreRefused) {
  copy.save_module("audio_lm_head", "audio_lm_head.weight",
                   changed("audio_lm_head.weight").narrow(0, 0, 8000));
  EXPECT_THAT(refusal(copy),
              HasSubstr("'base_model.model.audio_lm_head.weight' has another shape than the base's"));
}

TEST_F(SavedModules, ThatTheBaseLacksAreRefused) {
  copy.save_module("score", "score.weight", changed("audio_lm_head.weight"));
  EXPECT_THAT(refusal(copy), HasSubstr("'base_model.model.score.weight' has no place in the base at "));
}

TEST_F(SavedModules, WithoutTheirTensorAreRefused) {
  copy.config["modules_to_save"] = {"audio_lm_head"};
  EXPECT_THAT(refusal(copy),
              HasSubstr("holds no tensor of 'audio_lm_head', which adapter_config.json names"));
}

TEST_F(SavedModules, OfTheOtherLayoutAreRefusedByItsName) {
  copy.tensors.clear();
  copy.save_module("audio_lm_head", "audio_decoder_proj.audio_lm_head.weight",
                   changed("audio_lm_head.weight"));
  EXPECT_THAT(refusal(copy), HasSubstr("is a name of the boson layout, and the base at "));
}

class OddTensors : public SavedModules {};

TEST_F(OddTensors, MagnitudesAndUseDoraBelongTogether) {
  const std::string key = "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector";
  copy.config["use_dora"] = true;
  EXPECT_THAT(refusal(copy),
              HasSubstr("has no tensor 'base_model.model.model.layers.0.audio_mlp.down_proj.lora_"
                        "magnitude_vector'"));
  AdapterCopy dora("hf/adapter_dora");
  dora.config["use_dora"] = false;
  EXPECT_THAT(refusal(dora), HasSubstr("belongs to DoRA, but adapter_config.json has no use_dora"));
  dora.config["use_dora"] = true;
  dora.tensors[key] = dora.tensors[key].narrow(0, 0, 100).contiguous();
  EXPECT_THAT(refusal(dora), HasSubstr("'" + key + "' [100] does not fit its lora_B [128, 4]"));
}

TEST_F(OddTensors, OfAnotherRankThanTheConfigurationSaysAreRefused) {
  copy.config["r"] = 8;
  EXPECT_THAT(refusal(copy), HasSubstr("are not of the rank 8 that adapter_config.json gives this module"));
  copy.config["r"] = 4;
  copy.config["rank_pattern"] = {{"layers.1.mlp.up_proj", 2}};
  EXPECT_THAT(refusal(copy),
              HasSubstr("'base_model.model.model.layers.1.mlp.up_proj.lora_A.weight' [4, 64]"));
}

// What peft's target_modules "all-linear" gives: low-rank tensors beside the heads too.
TEST_F(OddTensors, LoraOnAHeadIsUsed) {
  const at::Tensor a = 0.1 * at::randn_like(at::zeros({4, 64})), b = at::randn_like(at::zeros({8208, 4}));
  copy.tensors["base_model.model.audio_lm_head.lora_A.weight"] = a;
  copy.tensors["base_model.model.audio_lm_head.lora_B.weight"] = b;
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const at::Tensor hidden = at::randn_like(at::zeros({5, 64})),
                   head = model.weight("audio_lm_head.weight").clone();
  const at::Tensor plain = model.audio_logits(hidden);
  {
    const Adapter adapter(model, copy.write());
    const at::Tensor want = hidden.mm((head + 2 * b.mm(a)).t()).view({5, 8, -1});  // alpha / r = 2
    EXPECT_LT(test::relative_difference(model.audio_logits(hidden), want), 1e-6);
  }
  EXPECT_TRUE(model.audio_logits(hidden).equal(plain));
}

TEST_F(OddTensors, OfEmbeddingsAndBiasesAreRefused) {
  AdapterCopy embedding = copy;
  embedding.tensors["base_model.model.model.embed_tokens.lora_embedding_A"] = at::zeros({4, 2048});
  EXPECT_THAT(refusal(embedding), HasSubstr("embed_tokens.lora_embedding_A' is a kind of LoRA tensor"));
  AdapterCopy bias = copy;
  bias.tensors["base_model.model.model.layers.0.mlp.up_proj.lora_B.bias"] = at::zeros({128});
  EXPECT_THAT(refusal(bias), HasSubstr("lora_B.bias' is a kind of LoRA tensor"));
  AdapterCopy bare = copy;
  bare.tensors["layers.0.mlp.up_proj.lora_A.weight"] = at::zeros({4, 64});
  EXPECT_THAT(refusal(bare), HasSubstr("does not begin with \"base_model.model.\""));
}

}  // namespace
}  // namespace higgs
