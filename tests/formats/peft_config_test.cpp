#include "higgs/formats/peft_config.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "higgs/base/json.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using ::testing::HasSubstr;

const Json kPlain = {{"peft_type", "LORA"},
                     {"r", 4},
                     {"lora_alpha", 8},
                     {"lora_dropout", 0.1},
                     {"target_modules", {"q_proj", "v_proj"}}};

PeftConfig read(const Json& document) {
  const TemporaryFolder folder;
  write_text(folder / "adapter_config.json", document.dump());
  return read_peft_config(folder.path());
}

PeftConfig read_with(const std::string& key, const Json& value) {
  Json document = kPlain;
  document[key] = value;
  return read(document);
}

std::string refusal(const std::string& key, const Json& value) {
  return user_error([&] { read_with(key, value); });
}

TEST(PeftConfig, ReadsRankAlphaDropoutAndTargets) {
  const PeftConfig config = read(kPlain);
  EXPECT_EQ(config.r, 4);
  EXPECT_EQ(config.lora_alpha, 8);
  EXPECT_EQ(config.lora_dropout, 0.1);
  EXPECT_EQ(config.target_modules, (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(read_with("target_modules", ".*q_proj").target_regex, ".*q_proj");
}

TEST(PeftConfig, ScalesByRankOrItsRoot) {
  EXPECT_DOUBLE_EQ(read(kPlain).scaling("model.layers.0.self_attn.q_proj", 4), 2.0);
  EXPECT_DOUBLE_EQ(read_with("use_rslora", true).scaling("model.layers.0.self_attn.q_proj", 16), 2.0);
}

// PEFT's rule: the pattern is the whole path, or its ending after a dot.
TEST(PeftConfig, AlphaPatternsMatchAsPeftDoes) {
  const PeftConfig config =
      read_with("alpha_pattern", {{"mlp.up_proj", 16}, {".*layers\\.1\\..*q_proj", 24}});
  EXPECT_DOUBLE_EQ(config.scaling("model.layers.0.mlp.up_proj", 4), 4.0);
  EXPECT_DOUBLE_EQ(config.scaling("model.layers.0.audio_mlp.up_proj", 4), 2.0);
  EXPECT_DOUBLE_EQ(config.scaling("model.layers.1.self_attn.q_proj", 4), 6.0);
  EXPECT_DOUBLE_EQ(config.scaling("model.layers.0.self_attn.q_proj", 4), 2.0);
}

TEST(PeftConfig, RefusesWhatItDoesNotDoByName) {
  EXPECT_THAT(refusal("peft_type", "LOHA"),
              HasSubstr("adapter_config.json: peft_type 'LOHA' is not supported"));
  for (const char* flag : {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "use_bdlora"}) {
    EXPECT_THAT(refusal(flag, true), HasSubstr(std::string(flag) + " is not supported"));
    EXPECT_NO_THROW(read_with(flag, false));
    EXPECT_NO_THROW(read_with(flag, nullptr));
  }
  EXPECT_THAT(refusal("bias", "lora_only"), HasSubstr("bias must be \"none\""));
  EXPECT_THAT(refusal("modules_to_save", {"audio_lm_head"}), HasSubstr("modules_to_save is not supported"));
  EXPECT_THAT(refusal("layer_replication", {{0, 1}}), HasSubstr("layer_replication is not supported"));
  EXPECT_NO_THROW(read_with("modules_to_save", nullptr));
}

TEST(PeftConfig, NamesWhatIsMissingOrOfAnotherType) {
  Json without = kPlain;
  without.erase("r");
  EXPECT_THAT(user_error([&] { read(without); }), HasSubstr("'r'"));
  EXPECT_THAT(refusal("lora_alpha", "much"), HasSubstr("'lora_alpha'"));
  EXPECT_THAT(refusal("alpha_pattern", {{std::string(257, 'x'), 3}}), HasSubstr("longer than 256"));
  EXPECT_THAT(user_error([] {
                read_with("alpha_pattern", {{"(", 3}}).scaling("model.x.y", 4);
              }),
              HasSubstr("alpha_pattern '(' is not a valid regular expression"));
  EXPECT_THAT(user_error([] { read_peft_config("/nonexistent"); }),
              HasSubstr("/nonexistent/adapter_config.json: missing"));
}

TEST(PeftConfig, WritingAndReadingKeepsEverything) {
  PeftConfig config = read(kPlain);
  config.base_model_name_or_path = "some/base";
  config.use_rslora = true;
  config.alpha_pattern = {{".*q_proj", 24}};
  config.rank_pattern = {{".*v_proj", 2}};
  const PeftConfig again = read(Json::parse(peft_config_json(config)));
  EXPECT_EQ(again.base_model_name_or_path, "some/base");
  EXPECT_EQ(again.r, 4);
  EXPECT_EQ(again.lora_alpha, 8);
  EXPECT_EQ(again.target_modules, config.target_modules);
  EXPECT_TRUE(again.use_rslora);
  EXPECT_EQ(again.alpha_pattern, config.alpha_pattern);
  EXPECT_EQ(again.rank_pattern, config.rank_pattern);
  config.target_modules.clear();
  config.target_regex = "model\\..*";
  EXPECT_EQ(read(Json::parse(peft_config_json(config))).target_regex, "model\\..*");
}

// peft 0.13 refuses a configuration with keys it doesn't know; these are the ones its LoraConfig has.
TEST(PeftConfig, WritesOnlyWhatPeft013Knows) {
  const std::set<std::string> known = {"alpha_pattern",
                                       "auto_mapping",
                                       "base_model_name_or_path",
                                       "bias",
                                       "fan_in_fan_out",
                                       "inference_mode",
                                       "init_lora_weights",
                                       "layer_replication",
                                       "layers_pattern",
                                       "layers_to_transform",
                                       "loftq_config",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "megatron_config",
                                       "megatron_core",
                                       "modules_to_save",
                                       "peft_type",
                                       "r",
                                       "rank_pattern",
                                       "revision",
                                       "target_modules",
                                       "task_type",
                                       "use_dora",
                                       "use_rslora"};
  const Json written = Json::parse(peft_config_json(read(kPlain)));
  for (const auto& [key, value] : written.items()) EXPECT_EQ(known.count(key), 1u) << key;
  EXPECT_EQ(written.at("task_type"), "CAUSAL_LM");
  EXPECT_TRUE(written.at("lora_alpha").is_number_integer());
}

}  // namespace
}  // namespace higgs::test
