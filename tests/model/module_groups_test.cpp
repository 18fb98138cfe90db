#include "higgs/model/module_groups.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs {
namespace {

TEST(ModuleGroups, AMapByNameBeatsItsGroup) {
  const auto values = parse_group_values("audio_mlp=32,audio_mlp.up_proj=8,self_attn=0.5", "--x");
  EXPECT_EQ(value_of_module(values, "layers.0.audio_mlp.up_proj"), 8.0);
  EXPECT_EQ(value_of_module(values, "base_model.model.model.layers.11.audio_mlp.down_proj"), 32.0);
  EXPECT_EQ(value_of_module(values, "layers.0.self_attn.q_proj"), 0.5);
  EXPECT_EQ(value_of_module(values, "layers.0.mlp.up_proj"), std::nullopt) << "audio_mlp isn't mlp";
  EXPECT_TRUE(parse_group_values("", "--x").empty());
}

TEST(ModuleGroups, RefusesWhatIsNoGroupOrNoNumber) {
  const auto error = [](const std::string& text) {
    return test::user_error([&] { parse_group_values(text, "--x"); });
  };
  for (const char* text : {"mlp", "mlp=", "mlp=a", "mlp=1x", "mlp=-1", "mlp=nan", "mlp=1,,self_attn=2"}) {
    EXPECT_NE(error(text).find("is not GROUP=NUMBER"), std::string::npos) << text << ": " << error(text);
  }
  EXPECT_NE(error("text_mlp=1").find("'text_mlp' is no group of linear maps; there are self_attn"),
            std::string::npos);
  EXPECT_NE(error("mlp.q_proj=1").find("is no group"), std::string::npos);
  EXPECT_EQ(error("mlp=1,mlp=2"), "--x 'mlp=1,mlp=2': 'mlp' stands there twice");
  EXPECT_NE(error("audio_lm_head=1").find("is no group"), std::string::npos) << "there are no ranks of it";
  EXPECT_EQ(value_of_module(parse_group_values("audio_lm_head=3", "--x", true), "audio_lm_head"), 3.0);
}

TEST(ModuleGroups, WholeModulesComeInOneOrder) {
  EXPECT_EQ(parse_modules_to_save("text_lm_head,audio_lm_head", "--x"),
            (std::vector<std::string>{"audio_lm_head", "text_lm_head"}));
  EXPECT_TRUE(parse_modules_to_save("", "--x").empty());
  const auto error = [](const std::string& text) {
    return test::user_error([&] { parse_modules_to_save(text, "--x"); });
  };
  EXPECT_EQ(error("audio_lm_head,score"),
            "--x 'audio_lm_head,score': 'score' is no module that can be trained whole; there are "
            "audio_lm_head, embed_audio_tokens, text_lm_head");
  EXPECT_EQ(error("text_lm_head,text_lm_head"),
            "--x 'text_lm_head,text_lm_head': 'text_lm_head' stands there twice");
}

}  // namespace
}  // namespace higgs
