#include "higgs/formats/peft_config.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
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

// re.match(r"(.*\.)?(PATTERN)$", path): alternatives stay together, a part of a name doesn't match, and what
// Python's regular expressions can do beyond the plain ones works.
TEST(PeftConfig, PatternsAreRegularExpressionsOfPythonsKind) {
  const auto alpha = [](const std::string& pattern, const std::string& path) {
    return read_with("alpha_pattern", {{pattern, 40}}).scaling(path, 4) == 10.0;
  };
  EXPECT_TRUE(alpha("q_proj|v_proj", "model.layers.0.self_attn.v_proj"));
  EXPECT_FALSE(alpha("q_proj|v_proj", "model.layers.0.self_attn.my_q_proj"));
  EXPECT_FALSE(alpha("q_proj", "model.layers.0.q_proj.inner"));
  EXPECT_TRUE(alpha("layers\\.(?P<n>\\d)\\d(?<!7)\\.mlp\\.\\w+", "model.layers.12.mlp.up_proj"));
  EXPECT_FALSE(alpha("layers\\.(?P<n>\\d)\\d(?<!7)\\.mlp\\.\\w+", "model.layers.17.mlp.up_proj"));
  EXPECT_TRUE(alpha("^model.*q_proj", "model.layers.0.self_attn.q_proj"));
  EXPECT_FALSE(alpha("^layers.*q_proj", "model.layers.0.self_attn.q_proj"));
}

TEST(PeftConfig, TheFirstPatternInTheFileCounts) {
  const TemporaryFolder folder;
  const auto scaling = [&](const std::string& patterns) {
    write_text(folder / "adapter_config.json",
               R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "alpha_pattern": )" + patterns + "}");
    return read_peft_config(folder.path()).scaling("model.layers.0.self_attn.q_proj", 4);
  };
  EXPECT_EQ(scaling(R"({"q_proj": 12, ".*attn.*": 20})"), 3.0);
  EXPECT_EQ(scaling(R"({".*attn.*": 20, "q_proj": 12})"), 5.0);
  EXPECT_EQ(scaling(R"({".*mlp.*": 20, "q_proj": 12})"), 3.0);
}

TEST(PeftConfig, RankPatternsDecideTheRank) {
  const PeftConfig config = read_with("rank_pattern", {{"audio_mlp.down_proj", 2}});
  EXPECT_EQ(config.rank("model.layers.0.audio_mlp.down_proj"), 2);
  EXPECT_EQ(config.rank("model.layers.0.mlp.down_proj"), 4);
}

TEST(PeftConfig, APatternThatNeverEndsIsRefused) {
  const PeftConfig config = read_with("alpha_pattern", {{"(a|aa)+[bc]", 3}});
  EXPECT_THAT(user_error([&] { config.scaling(std::string(60, 'a'), 4); }), HasSubstr("takes too long"));
}

TEST(PeftConfig, EveryWayToChooseModulesIsTaken) {
  EXPECT_EQ(read_with("target_modules", "all-linear").target_regex, "all-linear");
  const std::map<std::string, std::vector<Json>> choices = {{"exclude_modules", {{"k_proj"}, ".*k_proj"}},
                                                            {"layers_to_transform", {{0, 2}, 0}},
                                                            {"layers_pattern", {"layers", {"layers"}}}};
  for (const auto& [key, values] : choices) {
    for (const Json& value : values) {
      const Json written = Json::parse(peft_config_json(read_with(key, value)));
      EXPECT_EQ(written.at(key), value) << "kept for writing";
    }
  }
}

TEST(PeftConfig, RefusesWhatItDoesNotDoByName) {
  EXPECT_THAT(refusal("peft_type", "LOHA"),
              HasSubstr("adapter_config.json: peft_type 'LOHA' is not supported"));
  for (const char* flag : {"lora_bias", "fan_in_fan_out", "use_qalora"}) {
    EXPECT_THAT(refusal(flag, true), HasSubstr(std::string(flag) + " is not supported"));
    EXPECT_NO_THROW(read_with(flag, false));
    EXPECT_NO_THROW(read_with(flag, nullptr));
  }
  for (const char* key : {"use_bdlora", "megatron_config", "trainable_token_indices", "arrow_config",
                          "kasa_config", "velora_config", "monteclora_config"}) {
    EXPECT_THAT(refusal(key, {{"some", 1}}), HasSubstr(std::string(key) + " is not supported"));
    EXPECT_NO_THROW(read_with(key, nullptr));
  }
  for (const char* key : {"target_parameters", "alora_invocation_tokens", "target_modules_to_tie"}) {
    EXPECT_THAT(refusal(key, {1}), HasSubstr(std::string(key) + " is not supported"));
    EXPECT_NO_THROW(read_with(key, Json::array()));
  }
  EXPECT_THAT(refusal("layer_replication", {{0, 1}}),
              HasSubstr("layer_replication is not supported; merge the adapter with peft, or train another"));
  for (const char* bias : {"lora_only", "all"})
    EXPECT_THAT(refusal("bias", bias), HasSubstr("bias must be \"none\""));
}

// These take B A off the base before training, and peft does so again when it loads the adapter.
TEST(PeftConfig, RefusesInitialValuesThatChangeTheBase) {
  for (const char* method : {"pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga"}) {
    EXPECT_THAT(refusal("init_lora_weights", method),
                HasSubstr("init_lora_weights \"" + std::string(method) + "\" changes the base"));
  }
  for (const Json& method : {Json(true), Json(false), Json("gaussian"), Json("eva"), Json("orthogonal")}) {
    EXPECT_NO_THROW(read_with("init_lora_weights", method));
  }
}

TEST(PeftConfig, ReadsDoraAndModulesToSave) {
  EXPECT_FALSE(read(kPlain).use_dora);
  EXPECT_TRUE(read_with("use_dora", true).use_dora);
  EXPECT_EQ(read_with("modules_to_save", {"audio_lm_head"}).modules_to_save,
            std::vector<std::string>{"audio_lm_head"});
  EXPECT_TRUE(read_with("modules_to_save", nullptr).modules_to_save.empty());
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
  EXPECT_THAT(user_error([] {
                read_with("alpha_pattern", {{"(a|a)*[0-9]", 3}}).scaling(std::string(40, 'a'), 4);
              }),
              HasSubstr("pattern '(a|a)*[0-9]' takes too long to match; simplify it"));
  EXPECT_THAT(user_error([] { read_peft_config("/nonexistent"); }),
              HasSubstr("/nonexistent/adapter_config.json: missing"));
}

TEST(PeftConfig, WritingAndReadingKeepsEverything) {
  PeftConfig config = read(kPlain);
  config.base_model_name_or_path = "some/base";
  config.use_rslora = true;
  config.use_dora = true;
  config.modules_to_save = {"audio_lm_head"};
  config.alpha_pattern = {{".*q_proj", 24}};
  config.rank_pattern = {{".*v_proj", 2}};
  const PeftConfig again = read(Json::parse(peft_config_json(config)));
  EXPECT_EQ(again.base_model_name_or_path, "some/base");
  EXPECT_EQ(again.r, 4);
  EXPECT_EQ(again.lora_alpha, 8);
  EXPECT_EQ(again.target_modules, config.target_modules);
  EXPECT_TRUE(again.use_rslora);
  EXPECT_TRUE(again.use_dora);
  EXPECT_EQ(again.modules_to_save, config.modules_to_save);
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

TEST(PeftConfig, IsWrittenWhateverTheBaseIsCalled) {
  PeftConfig config = read(kPlain);
  config.base_model_name_or_path = "/data/b\xe4se";
  config.lora_alpha = 1e19;
  const Json written = Json::parse(peft_config_json(config));
  EXPECT_EQ(written["base_model_name_or_path"], "/data/b\xef\xbf\xbdse");
  EXPECT_EQ(written["lora_alpha"], 1e19);
}

// Objects whose order counts are searched from their beginning, and each pattern is tried on each module.
TEST(PeftConfig, RefusesMoreKeysThanAnAdapterHas) {
  Json many = Json::object();
  for (int i = 0; i < 1025; ++i) many["m" + std::to_string(i)] = 4;
  EXPECT_THAT(refusal("rank_pattern", many), HasSubstr("rank_pattern has more than 1024 patterns"));
  for (int i = 0; i < 4097; ++i) many["k" + std::to_string(i)] = 4;
  EXPECT_THAT(refusal("anything", many), HasSubstr("an object of more than 4096 keys"));
}

}  // namespace
}  // namespace higgs::test
