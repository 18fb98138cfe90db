// Adapters: made, saved, loaded, and refused when they belong elsewhere.
#include "higgs/model/adapter.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "higgs/base/json.h"
#include "higgs/model/lora_linear.h"
#include "support/changed_adapter.h"

namespace higgs {
namespace {

using test::golden;
using test::TemporaryFolder;
using test::user_error;
using ::testing::HasSubstr;

HiggsModel& model() {
  static HiggsModel one(golden("hf/model"), at::kFloat, at::kCPU);
  return one;
}

TEST(NewAdapter, StandsBesideEveryLinearMapAndChangesNothing) {
  LoraOptions options;
  options.r = 4;
  options.alpha = 12;
  const Adapter adapter(model(), options);
  EXPECT_EQ(model().linears().size(), 2u * 10u);
  ASSERT_EQ(adapter.tensors().size(), 2u * 20u);
  for (std::size_t i = 0; i < adapter.tensors().size(); i += 2) {
    const at::Tensor& a = adapter.tensors()[i].value;
    const double bound = 1 / std::sqrt(static_cast<double>(a.size(1)));
    EXPECT_LE(a.abs().max().item<double>(), bound);
    // The spread of 256 or more uniform values is within a fifth of bound / sqrt(3).
    EXPECT_NEAR(a.std().item<double>(), bound / std::sqrt(3.0), 0.2 * bound / std::sqrt(3.0));
    EXPECT_EQ(adapter.tensors()[i + 1].value.abs().max().item<double>(), 0);
    EXPECT_TRUE(model().linears()[i / 2]->has_adapter());
    EXPECT_EQ(model().linears()[i / 2]->scaling(), 3.0);
  }
  EXPECT_EQ(adapter.tensors()[0].key, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
}

// As PEFT would read it: the patterns of adapter_config.json give each map the rank that its tensors have.
TEST(NewAdapter, GroupsHaveRanksOfTheirOwn) {
  const TemporaryFolder folder;
  LoraOptions options;
  options.r = 4;
  options.alpha = 12;
  options.ranks = {{"mlp", 0.0}, {"audio_mlp", 6.0}, {"audio_mlp.up_proj", 3.0}};
  std::size_t num_parameters = 0;
  {
    const Adapter adapter(model(), options);
    EXPECT_EQ(adapter.num_modules(), 2u * 7u) << "four maps of attention, three of the audio FFN";
    for (const AdapterTensor& tensor : adapter.tensors()) {
      if (!tensor.key.ends_with(".lora_A.weight")) continue;
      EXPECT_EQ(tensor.key.find(".mlp."), std::string::npos) << tensor.key;
      const std::int64_t rank = tensor.key.find("audio_mlp.up_proj") != std::string::npos ? 3
                                : tensor.key.find("audio_mlp") != std::string::npos       ? 6
                                                                                          : 4;
      EXPECT_EQ(tensor.value.size(0), rank) << tensor.key;
    }
    num_parameters = static_cast<std::size_t>(adapter.num_parameters());
    adapter.save(folder.path());
  }
  const OrderedJson config = read_ordered_json_file(folder / "adapter_config.json");
  EXPECT_EQ(config["rank_pattern"].dump(), R"({"audio_mlp\\.up_proj":3,"audio_mlp\\.[a-z]+_proj":6})");
  EXPECT_EQ(config["target_modules"].size(), 7u);
  const Adapter again(model(), folder.path());  // refuses ranks that the patterns don't give
  EXPECT_EQ(static_cast<std::size_t>(again.num_parameters()), num_parameters);
  EXPECT_EQ(model().linears()[0]->scaling(), 3.0);
  options.ranks = {{"mlp", 0.0}, {"audio_mlp", 0.0}, {"self_attn", 0.0}};
  EXPECT_EQ(user_error([&] { Adapter(model(), options); }),
            "--rank_pattern leaves no linear map, --modules_to_save names no module: nothing learns");
}

TEST(NewAdapter, SeedDecidesTheValues) {
  LoraOptions options;
  const auto values = [&](std::uint64_t seed) {
    options.seed = seed;
    return Adapter(model(), options).values().clone();
  };
  EXPECT_TRUE(values(1).equal(values(1)));
  EXPECT_FALSE(values(1).equal(values(2)));
}

TEST(NewAdapter, IsTakenOffAtTheEnd) {
  { const Adapter adapter(model(), LoraOptions{}); }
  for (const auto& linear : model().linears()) EXPECT_FALSE(linear->has_adapter());
}

class SavedAdapter : public ::testing::TestWithParam<const char*> {};

TEST_P(SavedAdapter, RoundTripIsBitEqual) {
  const fs::path source = golden(GetParam());
  const TemporaryFolder folder;
  {
    const Adapter adapter(model(), source);
    adapter.save(folder.path());
  }
  const SafetensorsFile before(source / "adapter_model.safetensors"),
      after(folder / "adapter_model.safetensors");
  ASSERT_EQ(before.tensors().size(), after.tensors().size());
  for (const auto& [name, view] : before.tensors()) {
    const TensorView& other = after.at(name);
    EXPECT_EQ(view.shape, other.shape) << name;
    ASSERT_EQ(view.bytes.size(), other.bytes.size()) << name;
    EXPECT_EQ(std::memcmp(view.bytes.data(), other.bytes.data(), view.bytes.size()), 0) << name;
  }
  const Json first = read_json_file(source / "adapter_config.json");
  const Json second = read_json_file(folder / "adapter_config.json");
  for (const char* key : {"r", "lora_alpha", "lora_dropout", "target_modules", "alpha_pattern",
                          "rank_pattern", "use_rslora", "use_dora", "peft_type", "bias"}) {
    EXPECT_EQ(first.at(key), second.at(key)) << key;
  }
  const Adapter again(model(), folder.path());
  EXPECT_EQ(again.tensors().size(), before.tensors().size());
}

INSTANTIATE_TEST_SUITE_P(All, SavedAdapter,
                         ::testing::Values("hf/adapter_lora", "hf/adapter_rslora", "hf/adapter_pattern",
                                           "hf/adapter_attn_list", "hf/adapter_dora", "e2e/adapter_hf"));

class ChangedAdapter : public ::testing::Test, protected test::AdapterCopy {
 protected:
  ChangedAdapter() : AdapterCopy("hf/adapter_lora") {}
  std::string refusal() {
    const fs::path path = write();
    return user_error([&] { Adapter adapter(model(), path); });
  }
  const std::string key = "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight";
  TemporaryFolder folder;
};

TEST_F(ChangedAdapter, OfAnotherWidthIsRefused) {
  tensors[key] = tensors[key].narrow(1, 0, 60).contiguous();
  EXPECT_THAT(refusal(),
              HasSubstr("adapter_model.safetensors: '" + key +
                        "' and its lora_B do not fit this base (64 -> 128); the adapter is of another base"));
}

TEST_F(ChangedAdapter, WithAModuleTheBaseLacksIsRefused) {
  tensors["base_model.model.model.layers.2.mlp.up_proj.lora_A.weight"] = tensors[key];
  tensors["base_model.model.model.layers.2.mlp.up_proj.lora_B.weight"] =
      tensors["base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"];
  EXPECT_THAT(refusal(),
              HasSubstr("'base_model.model.model.layers.2.mlp.up_proj.lora_A.weight' has no place in "
                        "the base at "));
}

TEST_F(ChangedAdapter, OfTheOtherLayoutIsRefused) {
  std::map<std::string, at::Tensor> renamed;
  for (const auto& [name, tensor] : tensors) renamed["base_model.model." + name.substr(23)] = tensor;
  ASSERT_EQ(renamed.count("base_model.model.layers.1.mlp.up_proj.lora_A.weight"), 1u);
  tensors = renamed;
  EXPECT_THAT(refusal(), HasSubstr("is a name of the boson layout, and the base at "));
}

TEST_F(ChangedAdapter, WithHalfAPairIsRefused) {
  tensors.erase("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight");
  EXPECT_THAT(refusal(), HasSubstr("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"));
}

TEST_F(ChangedAdapter, WithoutTensorsIsRefused) {
  tensors.clear();
  EXPECT_THAT(refusal(), HasSubstr("holds no LoRA tensors"));
}

TEST_F(ChangedAdapter, OfAnotherMethodIsRefusedByName) {
  config["peft_type"] = "IA3";
  EXPECT_THAT(refusal(), HasSubstr("adapter_config.json: peft_type 'IA3' is not supported, LORA is"));
  config["peft_type"] = "LORA";
  config["bias"] = "all";
  EXPECT_THAT(refusal(), HasSubstr("bias must be \"none\""));
}

TEST_F(ChangedAdapter, ThatIsTruncatedIsRefused) {
  config["peft_type"] = "LORA";
  const std::string whole = test::text_of(golden("hf/adapter_lora/adapter_model.safetensors"));
  test::write_text(folder / "adapter_config.json", config.dump());
  test::write_text(folder / "adapter_model.safetensors", whole.substr(0, whole.size() - 100));
  EXPECT_THAT(user_error([&] { Adapter adapter(model(), folder.path()); }),
              HasSubstr((folder / "adapter_model.safetensors").string()));
}

TEST(AdapterFolder, ThatIsMissingIsNamed) {
  EXPECT_THAT(user_error([] { Adapter adapter(model(), "/nonexistent"); }),
              HasSubstr("/nonexistent/adapter_config.json: missing; an adapter is a PEFT folder"));
}

}  // namespace
}  // namespace higgs
