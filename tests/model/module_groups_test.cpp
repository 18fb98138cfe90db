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
}

}  // namespace
}  // namespace higgs
