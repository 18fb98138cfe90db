// config.json of both layouts: what is read, and what is refused with the key's name.
#include "higgs/model/config.h"

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "higgs/base/json.h"
#include "higgs/model/layout.h"
#include "higgs/model/rope.h"
#include "higgs/model/special_ids.h"
#include "higgs/text/tokenizer.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::golden;
using test::TemporaryFolder;
using test::user_error;
using ::testing::HasSubstr;

using Change = std::function<void(Json&)>;

ModelConfig read_changed(const char* base, const Change& change) {
  const TemporaryFolder folder;
  Json config = read_json_file(golden(base) / "config.json");
  change(config);
  test::write_text(folder / "config.json", config.dump());
  return read_model_config(folder.path());
}

std::string hf_error(const Change& change) {
  return user_error([&] { read_changed("hf/model", change); });
}
std::string boson_error(const Change& change) {
  return user_error([&] { read_changed("boson/model/base", change); });
}

TEST(Config, ReadsTheHfLayout) {
  const ModelConfig config = read_model_config(golden("hf/model"));
  EXPECT_EQ(config.layout, Layout::kHf);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.codebook_rows, 1026);  // BOS and EOS included in the file's number
  EXPECT_EQ(config.audio_out_token_id, 1808);
  EXPECT_EQ(config.audio_in_token_id, std::nullopt);
  EXPECT_TRUE(config.encode_audio_in_tokens);
  EXPECT_EQ(config.rope_theta, 500000.0);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->factor, 32.0);
  EXPECT_EQ(config.rope_scaling->high_freq_factor, 0.5);
}

TEST(Config, ReadsTheBosonLayout) {
  const ModelConfig config = read_model_config(golden("boson/model/base"));
  EXPECT_EQ(config.layout, Layout::kBoson);
  EXPECT_EQ(config.num_layers, 3);
  EXPECT_EQ(config.codebook_rows, 1026);  // the file says 1024
  EXPECT_EQ(config.audio_in_token_id, 271);
  EXPECT_EQ(config.audio_out_token_id, 272);
  EXPECT_FALSE(config.encode_audio_in_tokens);
  EXPECT_EQ(config.rope_scaling->original_max_position, 1024.0);
}

TEST(Config, ReadsRopeAsOlderTransformersWroteIt) {
  const ModelConfig config = read_changed("hf/model", [](Json& c) {
    Json rope = c["rope_parameters"];
    c.erase("rope_parameters");
    c["rope_theta"] = rope["rope_theta"];
    rope.erase("rope_theta");
    rope["type"] = rope["rope_type"];
    rope.erase("rope_type");
    c["rope_scaling"] = rope;
  });
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_EQ(config.rope_scaling->low_freq_factor, 0.125);
}

// transformers 5.23 reads such files so, whatever rope_theta says (tests/parity found it).
TEST(Config, AbsentKeysOfTheHfLayoutMeanItsClasssDefaults) {
  const ModelConfig rope = read_changed("hf/model", [](Json& c) {
    c.erase("rope_parameters");
    c["rope_theta"] = 10000.0;
    c["rope_scaling"] = nullptr;
  });
  EXPECT_EQ(rope.rope_theta, 500000.0);
  ASSERT_TRUE(rope.rope_scaling);
  EXPECT_EQ(rope.rope_scaling->factor, 32.0);
  EXPECT_EQ(rope.rope_scaling->low_freq_factor, 0.125);
  EXPECT_EQ(rope.rope_scaling->high_freq_factor, 0.5);
  EXPECT_EQ(rope.rope_scaling->original_max_position, 1024.0);

  const ModelConfig sizes = read_changed("hf/model", [](Json& c) {
    c["num_attention_heads"] = 16;
    for (const char* key : {"rms_norm_eps", "head_dim", "num_key_value_heads"}) c.erase(key);
  });
  EXPECT_EQ(sizes.rms_norm_eps, 1e-5);
  EXPECT_EQ(sizes.head_dim, 128);
  EXPECT_EQ(sizes.num_kv_heads, 8);
  const ModelConfig null = read_changed("hf/model", [](Json& c) {
    c["num_attention_heads"] = 16;
    c["head_dim"] = c["num_key_value_heads"] = nullptr;
  });
  EXPECT_EQ(null.head_dim, 4);
  EXPECT_EQ(null.num_kv_heads, 16);

  const ModelConfig boson = read_changed("boson/model/base", [](Json& c) {
    for (const char* key : {"rms_norm_eps", "head_dim", "num_key_value_heads"}) c["text_config"].erase(key);
  });
  EXPECT_EQ(boson.rms_norm_eps, 1e-6);
  EXPECT_EQ(boson.head_dim, boson.hidden_size / boson.num_heads);
  EXPECT_EQ(boson.num_kv_heads, boson.num_heads);
}

TEST(Config, NamesAModelTypeItDoesNotKnow) {
  EXPECT_THAT(hf_error([](Json& c) { c["model_type"] = "llama"; }),
              HasSubstr("config.json: model_type 'llama' is not supported (higgs_audio_v2, higgs_audio)"));
  EXPECT_THAT(hf_error([](Json& c) { c.erase("model_type"); }), HasSubstr("model_type"));
}

TEST(Config, NamesMissingKeys) {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "vocab_size", "num_codebooks", "codebook_size", "audio_stream_bos_id",
                          "audio_stream_eos_id", "pad_token_id", "audio_token_id"}) {
    EXPECT_THAT(hf_error([&](Json& c) { c.erase(key); }), HasSubstr(std::string("'") + key + "'")) << key;
  }
  EXPECT_THAT(hf_error([](Json& c) { c["rope_parameters"].erase("factor"); }), HasSubstr("'factor'"));
  EXPECT_THAT(boson_error([](Json& c) { c.erase("text_config"); }), HasSubstr("'text_config'"));
  EXPECT_THAT(boson_error([](Json& c) { c["text_config"].erase("hidden_size"); }),
              HasSubstr("'hidden_size'"));
}

TEST(Config, NamesValuesItCannotServe) {
  EXPECT_THAT(hf_error([](Json& c) { c["rope_parameters"]["rope_type"] = "yarn"; }),
              HasSubstr("rope_type 'yarn' is not supported"));
  EXPECT_THAT(hf_error([](Json& c) { c["hidden_act"] = "gelu"; }), HasSubstr("hidden_act must be silu"));
  EXPECT_THAT(hf_error([](Json& c) { c["attention_bias"] = true; }),
              HasSubstr("attention_bias is not supported"));
  EXPECT_THAT(hf_error([](Json& c) { c["tie_word_embeddings"] = true; }), HasSubstr("tie_word_embeddings"));
  EXPECT_THAT(hf_error([](Json& c) { c["num_attention_heads"] = 0; }), HasSubstr("must be 1 to "));
  EXPECT_THAT(hf_error([](Json& c) { c["num_key_value_heads"] = 3; }), HasSubstr("do not fit together"));
  EXPECT_THAT(hf_error([](Json& c) { c["audio_stream_eos_id"] = 1026; }),
              HasSubstr("outside the codebook of 1026"));
  EXPECT_THAT(hf_error([](Json& c) { c["hidden_size"] = "64"; }), HasSubstr("hidden_size"));
}

TEST(Config, SizesNoModelHasAreRefusedBeforeTheyCostMemory) {
  static constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "vocab_size"}) {
    for (const std::int64_t size : {kHuge, std::int64_t{0}, std::int64_t{-1}}) {
      const auto change = [&](Json& config) { config[key] = size; };
      EXPECT_THAT(hf_error(change), HasSubstr(std::string("key '") + key + "' must be 1 to ")) << size;
    }
  }
  EXPECT_THAT(hf_error([](Json& config) { config["num_codebooks"] = kHuge; }), HasSubstr("codebooks"));
  EXPECT_THAT(boson_error([](Json& config) { config["audio_codebook_size"] = kHuge; }),
              HasSubstr("codebook size"));
}

// Absent keys mean the reference class's defaults, which this program does not do: no silent guess.
TEST(Config, BosonDefaultsAreTheReferencesOwn) {
  EXPECT_THAT(boson_error([](Json& c) { c.erase("audio_adapter_type"); }),
              HasSubstr("audio_adapter_type 'stack'"));
  EXPECT_THAT(boson_error([](Json& c) { c.erase("use_delay_pattern"); }),
              HasSubstr("use_delay_pattern must be true"));
  EXPECT_THAT(boson_error([](Json& c) { c.erase("skip_audio_tower"); }), HasSubstr("skip_audio_tower"));
  EXPECT_THAT(boson_error([](Json& c) { c["use_audio_out_self_attention"] = true; }),
              HasSubstr("use_audio_out_self_attention is not supported"));
  EXPECT_THAT(boson_error([](Json& c) { c["audio_decoder_proj_num_layers"] = 1; }),
              HasSubstr("audio_decoder_proj_num_layers must be 0"));
  EXPECT_EQ(read_changed("boson/model/base", [](Json& c) { c.erase("audio_num_codebooks"); }).num_codebooks,
            12);
}

// Whatever else the reference can build is refused by its name.
TEST(Config, BosonPartsThatAreNotDoneAreNamed) {
  for (const char* key : {"use_audio_out_self_attention", "use_audio_out_embed_projector", "audio_embed_avg",
                          "use_rq_transformer"}) {
    EXPECT_THAT(boson_error([&](Json& c) { c[key] = true; }),
                HasSubstr(std::string(key) + " is not supported"));
  }
  EXPECT_THAT(boson_error([](Json& c) { c["audio_adapter_type"] = "stack"; }),
              HasSubstr("audio_adapter_type 'stack' is not supported"));
  EXPECT_THAT(boson_error([](Json& c) { c["use_delay_pattern"] = false; }),
              HasSubstr("use_delay_pattern must be true"));
  EXPECT_THAT(boson_error([](Json& c) { c["text_config"]["model_type"] = "qwen2"; }),
              HasSubstr("model_type 'qwen2' is not supported"));
  EXPECT_THAT(boson_error([](Json& c) { c["text_config"]["hidden_act"] = "gelu"; }),
              HasSubstr("hidden_act must be silu"));
  EXPECT_THAT(boson_error([](Json& c) { c["text_config"]["rope_scaling"]["rope_type"] = "dynamic"; }),
              HasSubstr("rope_type 'dynamic' is not supported"));
  // Its class ties nothing, whatever text_config says.
  EXPECT_EQ(read_changed("boson/model/base", [](Json& c) { c["text_config"]["tie_word_embeddings"] = true; })
                .num_layers,
            3);
}

TEST(Config, ReadsTheAudioTower) {
  const auto tower = read_model_config(golden("boson/model/tower")).audio_tower;
  ASSERT_TRUE(tower);
  EXPECT_EQ(tower->num_mels, 16);
  EXPECT_EQ(tower->width, 32);
  EXPECT_EQ(tower->num_layers, 2);
  EXPECT_EQ(tower->num_heads, 2);
  EXPECT_EQ(tower->ffn_width, 64);
  EXPECT_EQ(tower->max_positions, 100);
  const auto absent = [](const char* key) {
    return read_changed("boson/model/tower", [&](Json& c) { c.erase(key); });
  };
  EXPECT_TRUE(absent("skip_audio_tower").audio_tower);
  EXPECT_TRUE(absent("encode_whisper_embed").audio_tower);
  EXPECT_EQ(absent("audio_encoder_config").audio_tower->width, 1280);
  EXPECT_EQ(absent("audio_encoder_config").audio_tower->max_positions, 1500);
  EXPECT_FALSE(absent("encode_audio_in_tokens").encode_audio_in_tokens);
  EXPECT_FALSE(read_changed("boson/model/tower", [](Json& c) { c["skip_audio_tower"] = true; }).audio_tower);
  EXPECT_TRUE(read_changed("boson/model/tower", [](Json& c) {
                c["encode_audio_in_tokens"] = true;
              }).encode_audio_in_tokens);
}

TEST(Config, NamesAnAudioTowerItCannotServe) {
  const auto error = [](const Change& change) {
    return user_error([&] { read_changed("boson/model/tower", change); });
  };
  EXPECT_THAT(error([](Json& c) { c["encode_whisper_embed"] = false; }), HasSubstr("encode_whisper_embed"));
  EXPECT_THAT(error([](Json& c) { c["audio_encoder_config"]["activation_function"] = "relu"; }),
              HasSubstr("activation_function 'relu' is not supported"));
  EXPECT_THAT(error([](Json& c) { c["audio_encoder_config"]["model_type"] = "whisper"; }),
              HasSubstr("model_type 'whisper' is not supported"));
  EXPECT_THAT(error([](Json& c) { c["audio_encoder_config"]["encoder_attention_heads"] = 3; }),
              HasSubstr("fit together"));
}

TEST(Config, LayersWithoutAnAudioFfnAreWhatTheAdapterTypeSays) {
  using Forms = std::vector<LayerForm>;
  const auto forms = [](const char* type, const Json& layers) {
    return read_changed("boson/model/base",
                        [&](Json& c) {
                          c["audio_adapter_type"] = type;
                          c["audio_dual_ffn_layers"] = layers;
                        })
        .layer_forms;
  };
  constexpr LayerForm kDual = LayerForm::kDualFfn;
  EXPECT_EQ(forms("dual_ffn", {0, 1, 2}), (Forms{kDual, kDual, kDual}));
  EXPECT_EQ(forms("dual_ffn", {1}), (Forms{LayerForm::kTextFfn, kDual, LayerForm::kTextFfn}));
  EXPECT_EQ(forms("dual_ffn_fast_forward", {2, 0, 9}), (Forms{kDual, LayerForm::kFastForward, kDual}));
  EXPECT_THAT(boson_error([](Json& c) { c.erase("audio_dual_ffn_layers"); }),
              HasSubstr("'audio_dual_ffn_layers'"));
  EXPECT_EQ(read_model_config(golden("hf/model")).layer_forms, (Forms{kDual, kDual}));
}

TEST(Config, MissingOrBrokenFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(user_error([&] { read_model_config(folder.path()); }), HasSubstr("config.json: missing"));
  test::write_text(folder / "config.json", "{\"model_type\": ");
  EXPECT_THAT(user_error([&] { read_model_config(folder.path()); }),
              HasSubstr((folder / "config.json").string()));
}

TEST(Layout, NamesTensorsAndAdaptersOfBothLayouts) {
  EXPECT_EQ(stored_name(Layout::kHf, "layers.3.mlp.up_proj.weight"), "model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(stored_name(Layout::kBoson, "layers.3.mlp.up_proj.weight"), "layers.3.mlp.up_proj.weight");
  EXPECT_EQ(stored_name(Layout::kHf, "audio_embed.weight"),
            "model.embed_audio_tokens.embed_audio_tokens.weight");
  EXPECT_EQ(stored_name(Layout::kBoson, "audio_embed.weight"), "audio_codebook_embeddings.weight");
  EXPECT_EQ(stored_name(Layout::kBoson, "text_lm_head.weight"), "audio_decoder_proj.text_lm_head.weight");
  EXPECT_EQ(canonical_name(Layout::kHf, "audio_lm_head.weight"), "audio_lm_head.weight");
  EXPECT_EQ(canonical_name(Layout::kHf, "model.layers.0.mlp.up_proj.weight"), "layers.0.mlp.up_proj.weight");
  EXPECT_EQ(canonical_name(Layout::kHf, "layers.0.mlp.up_proj.weight"), "") << "a name of the other layout";
  EXPECT_EQ(canonical_name(Layout::kBoson, "audio_codebook_embeddings.weight"), "audio_embed.weight");
  EXPECT_EQ(canonical_name(Layout::kBoson, "layers.0.mlp.up_proj.weight"), "layers.0.mlp.up_proj.weight");
}

// Llama 3.1's rule, computed value by value; the tiny models' few frequencies don't reach all its branches.
TEST(Rope, ScalesSlowFrequenciesAndKeepsFastOnes) {
  ModelConfig config;
  config.head_dim = 64;
  config.rope_theta = 500000.0;
  config.rope_scaling = RopeScaling{8.0, 1.0, 4.0, 8192.0};
  const at::Tensor frequencies = rope_frequencies(config);
  int kept = 0, stretched = 0, between = 0;
  for (int i = 0; i < 32; ++i) {
    const double plain = std::pow(500000.0, -2.0 * i / 64);
    const double wavelength = 2 * std::numbers::pi / plain;
    double want = plain;
    if (wavelength > 8192.0) {
      want = plain / 8;
      ++stretched;
    } else if (wavelength >= 2048.0) {
      const double smooth = (8192.0 / wavelength - 1) / 3;
      want = (1 - smooth) * plain / 8 + smooth * plain;
      ++between;
    } else {
      ++kept;
    }
    EXPECT_NEAR(frequencies[i].item<double>(), want, 1e-5 * want) << i;
  }
  EXPECT_TRUE(kept > 0 && stretched > 0 && between > 0);
}

TEST(ModelConfig, RefusesNumbersThatNoModelHas) {
  EXPECT_THAT(hf_error([](Json& c) {
                c["codebook_size"] = 2, c["audio_stream_bos_id"] = 0, c["audio_stream_eos_id"] = 1;
              }),
              HasSubstr("a codebook without codes"));
  EXPECT_THAT(hf_error([](Json& c) { c["codebook_size"] = 40000; }), HasSubstr("must be 1 to 32768"));
  EXPECT_THAT(hf_error([](Json& c) { c["hidden_size"] = 1 << 24; }),
              HasSubstr("'hidden_size' must be 1 to 1048576"));
  EXPECT_THAT(hf_error([](Json& c) { c["rope_parameters"]["rope_theta"] = 0; }),
              HasSubstr("rope_theta must be above 0"));
  EXPECT_THAT(hf_error([](Json& c) { c["rope_parameters"]["factor"] = 0; }),
              HasSubstr("factor, low_freq_factor"));
  EXPECT_THAT(hf_error([](Json& c) {
                c["rope_parameters"]["low_freq_factor"] = c["rope_parameters"]["high_freq_factor"];
              }),
              HasSubstr("high_freq_factor above low_freq_factor"));
}

TEST(SpecialIds, RefusesATokenizerLargerThanTheModel) {
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  ModelConfig config = read_changed("hf/model", [](Json&) {});
  EXPECT_NO_THROW(special_ids(config, *tokenizer));
  config.vocab_size = tokenizer->vocab_size() - 1;
  EXPECT_THAT(user_error([&] { special_ids(config, *tokenizer); }),
              HasSubstr(" tokens, the model only " + std::to_string(config.vocab_size) +
                        "; they are of different checkpoints"));
}

TEST(SpecialIds, RefusesOneIdForBothKindsOfClips) {
  ModelConfig config = read_changed("boson/model/base", [](Json&) {});
  EXPECT_NO_THROW(special_ids(config));
  config.audio_in_token_id = config.audio_out_token_id;
  EXPECT_THAT(user_error([&] { special_ids(config); }), HasSubstr("have the same id"));
}

}  // namespace
}  // namespace higgs
