#include "higgs/model/config.h"

#include "higgs/base/error.h"
#include "higgs/base/json.h"

namespace higgs {
namespace {

// An integer of a size that a model can have.
std::int64_t size_of(const JsonObject& fields, const char* key, std::int64_t value,
                     std::int64_t most = kMaxModelSize) {
  if (value < 1 || value > most) {
    throw UserError(fields.where() + ": key '" + key + "' must be 1 to " + std::to_string(most) + ", it is " +
                    std::to_string(value));
  }
  return value;
}

std::int64_t size_of(const JsonObject& fields, const char* key) {
  return size_of(fields, key, fields.integer(key));
}

std::int64_t parts_of(const JsonObject& fields, const char* key) {
  return size_of(fields, key, fields.integer(key), kMaxModelParts);
}

// Rope settings stand in `rope_parameters` (transformers 5), or in `rope_theta` + `rope_scaling` (before).
void read_rope(const JsonObject& fields, ModelConfig& config) {
  const bool merged = fields.has("rope_parameters");
  const std::string scaling_key = merged ? "rope_parameters" : "rope_scaling";
  config.rope_theta =
      merged ? fields.object(scaling_key).number("rope_theta") : fields.number("rope_theta", 10000.0);
  if (!(config.rope_theta > 0.0)) throw UserError(fields.where() + ": rope_theta must be above 0");
  if (!fields.has(scaling_key)) return;
  const JsonObject scaling = fields.object(scaling_key);
  const std::string type = scaling.string("rope_type", scaling.string("type", "default"));
  if (type == "default") return;
  if (type != "llama3") throw UserError(scaling.where() + ": rope_type '" + type + "' is not supported");
  config.rope_scaling =
      RopeScaling{scaling.number("factor"), scaling.number("low_freq_factor"),
                  scaling.number("high_freq_factor"), scaling.number("original_max_position_embeddings")};
  const RopeScaling& rope = *config.rope_scaling;
  if (!(rope.factor > 0.0 && rope.low_freq_factor > 0.0 && rope.high_freq_factor > rope.low_freq_factor &&
        rope.original_max_position > 0.0)) {
    throw UserError(scaling.where() +
                    ": factor, low_freq_factor and original_max_position_embeddings must be above 0, and "
                    "high_freq_factor above low_freq_factor");
  }
}

// What an absent key stands for: the default of the layout's configuration class. 0: as the heads say.
struct DecoderDefaults {
  double rms_norm_eps;
  std::int64_t num_kv_heads, head_dim;
};
constexpr DecoderDefaults kHfDefaults = {1e-5, 8, 128};
constexpr DecoderDefaults kLlamaDefaults = {1e-6, 0, 0};

// Null means "as the heads say" in both layouts.
std::int64_t integer_or_default(const JsonObject& fields, const char* key, std::int64_t otherwise,
                                std::int64_t as_heads_say) {
  const bool absent = !fields.json().contains(key);
  return fields.integer(key, absent && otherwise != 0 ? otherwise : as_heads_say);
}

// The Llama part, which both layouts share: at the top in HF, under `text_config` in boson.
void read_decoder(const JsonObject& fields, const DecoderDefaults& defaults, ModelConfig& config) {
  config.hidden_size = size_of(fields, "hidden_size", fields.integer("hidden_size"), kMaxWidth);
  config.intermediate_size =
      size_of(fields, "intermediate_size", fields.integer("intermediate_size"), kMaxWidth);
  config.num_layers = parts_of(fields, "num_hidden_layers");
  config.num_heads = parts_of(fields, "num_attention_heads");
  config.num_kv_heads =
      integer_or_default(fields, "num_key_value_heads", defaults.num_kv_heads, config.num_heads);
  config.vocab_size = size_of(fields, "vocab_size");
  config.head_dim =
      integer_or_default(fields, "head_dim", defaults.head_dim, config.hidden_size / config.num_heads);
  config.rms_norm_eps = fields.number("rms_norm_eps", defaults.rms_norm_eps);
  if (fields.string("hidden_act", "silu") != "silu")
    throw UserError(fields.where() + ": hidden_act must be silu");
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (fields.boolean(key, false)) throw UserError(fields.where() + ": " + key + " is not supported");
  }
  size_of(fields, "num_key_value_heads", config.num_kv_heads, kMaxModelParts);
  size_of(fields, "head_dim", config.head_dim, kMaxWidth);
  if (config.num_heads % config.num_kv_heads != 0 || config.head_dim % 2 != 0) {
    throw UserError(fields.where() + ": head counts or head_dim do not fit together");
  }
  read_rope(fields, config);
}

ModelConfig read_hf(const JsonObject& fields) {
  ModelConfig config;
  config.layout = Layout::kHf;
  read_decoder(fields, kHfDefaults, config);
  if (!fields.has("rope_parameters") && !fields.has("rope_scaling")) {
    // The configuration class takes the released model's rope then, whatever rope_theta says.
    config.rope_theta = 500000.0;
    config.rope_scaling = RopeScaling{32.0, 0.125, 0.5, 1024.0};
  }
  // In boson's layout the key stands in text_config, where its class pays no heed to it.
  if (fields.boolean("tie_word_embeddings", false))
    throw UserError(fields.where() + ": tie_word_embeddings is not supported");
  config.layer_forms.assign(static_cast<std::size_t>(config.num_layers), LayerForm::kDualFfn);
  config.num_codebooks = fields.integer("num_codebooks");
  config.codebook_rows = fields.integer("codebook_size");
  config.stream_bos_id = fields.integer("audio_stream_bos_id");
  config.stream_eos_id = fields.integer("audio_stream_eos_id");
  config.pad_token_id = fields.integer("pad_token_id");
  config.audio_out_token_id = fields.integer("audio_token_id");
  return config;
}

// Layers that audio_dual_ffn_layers doesn't name do without the audio FFN, in a manner that the adapter type
// says. Numbers beyond the last layer mean nothing, as in the reference.
void read_layer_forms(const JsonObject& fields, ModelConfig& config) {
  const std::string adapter = fields.string("audio_adapter_type", "stack");
  if (adapter != "dual_ffn_fast_forward" && adapter != "dual_ffn") {
    throw UserError(fields.where() + ": audio_adapter_type '" + adapter + "' is not supported");
  }
  const LayerForm other = adapter == "dual_ffn" ? LayerForm::kTextFfn : LayerForm::kFastForward;
  config.layer_forms.assign(static_cast<std::size_t>(config.num_layers), other);
  for (const std::int64_t layer : fields.integers("audio_dual_ffn_layers")) {
    if (layer >= 0 && layer < config.num_layers) {
      config.layer_forms[static_cast<std::size_t>(layer)] = LayerForm::kDualFfn;
    }
  }
}

// What the reference can build and this program doesn't.
void refuse_unknown_parts(const JsonObject& fields) {
  for (const char* key : {"use_audio_out_self_attention", "use_audio_out_embed_projector", "audio_embed_avg",
                          "use_rq_transformer"}) {
    if (fields.boolean(key, false)) throw UserError(fields.where() + ": " + key + " is not supported");
  }
  if (fields.integer("audio_decoder_proj_num_layers", 0) != 0) {
    throw UserError(fields.where() + ": audio_decoder_proj_num_layers must be 0");
  }
  if (!fields.boolean("use_delay_pattern", false)) {
    throw UserError(fields.where() + ": use_delay_pattern must be true");
  }
}

AudioTowerConfig read_audio_tower(const JsonObject& top) {
  AudioTowerConfig tower;
  if (!top.has("audio_encoder_config")) return tower;
  const JsonObject fields = top.object("audio_encoder_config");
  const auto refuse = [&](const std::string& key, const std::string& wanted) {
    const std::string value = fields.string(key, wanted);
    if (value != wanted) throw UserError(fields.where() + ": " + key + " '" + value + "' is not supported");
  };
  refuse("model_type", "higgs_audio_encoder");
  refuse("activation_function", "gelu");
  tower.num_mels = fields.integer("num_mel_bins", tower.num_mels);
  tower.width = fields.integer("d_model", tower.width);
  tower.num_layers = fields.integer("encoder_layers", tower.num_layers);
  tower.num_heads = fields.integer("encoder_attention_heads", tower.num_heads);
  tower.ffn_width = fields.integer("encoder_ffn_dim", tower.ffn_width);
  tower.max_positions = fields.integer("max_source_positions", tower.max_positions);
  if (tower.num_mels <= 0 || tower.width <= 0 || tower.num_layers < 0 || tower.num_heads <= 0 ||
      tower.width % tower.num_heads != 0 || tower.ffn_width <= 0 || tower.max_positions < 2 ||
      tower.num_mels > 1024 || tower.max_positions > 100000 || tower.width > kMaxModelSize ||
      tower.ffn_width > kMaxModelSize || tower.num_layers > kMaxModelParts ||
      tower.num_heads > kMaxModelParts) {
    throw UserError(fields.where() + ": sizes must be positive, of a usual order, and fit together");
  }
  return tower;
}

// Defaults are those of the reference's configuration class, which differ from the released file's values.
ModelConfig read_boson(const JsonObject& fields) {
  ModelConfig config;
  config.layout = Layout::kBoson;
  const JsonObject text = fields.object("text_config");
  if (text.string("model_type", "llama") != "llama") {
    throw UserError(text.where() + ": model_type '" + text.string("model_type") + "' is not supported");
  }
  read_decoder(text, kLlamaDefaults, config);
  read_layer_forms(fields, config);
  refuse_unknown_parts(fields);
  // Features are of no use without the tower, and the reference's tower fails without them.
  if (!fields.boolean("skip_audio_tower", false)) {
    if (!fields.boolean("encode_whisper_embed", true)) {
      throw UserError(fields.where() +
                      ": skip_audio_tower is false, but encode_whisper_embed too: the audio "
                      "tower would have nothing to hear");
    }
    config.audio_tower = read_audio_tower(fields);
  }
  config.encode_audio_in_tokens = fields.boolean("encode_audio_in_tokens", false);
  config.num_codebooks = fields.integer("audio_num_codebooks", 12);
  config.codebook_rows = fields.integer("audio_codebook_size", 1024) + 2;
  config.stream_bos_id = fields.integer("audio_stream_bos_id", 1024);
  config.stream_eos_id = fields.integer("audio_stream_eos_id", 1025);
  config.pad_token_id = fields.integer("pad_token_id", 128001);
  config.audio_in_token_id = fields.integer("audio_in_token_idx", 128015);
  config.audio_out_token_id = fields.integer("audio_out_token_idx", 128016);
  return config;
}

}  // namespace

ModelConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  if (!fs::exists(path))
    throw UserError(path.string() + ": missing; a base checkpoint is a folder with config.json");
  const Json document = read_json_file(path);
  const JsonObject fields(document, path.string());
  const std::string type = fields.string("model_type");
  ModelConfig config;
  if (type == "higgs_audio_v2") {
    config = read_hf(fields);
  } else if (type == "higgs_audio") {
    config = read_boson(fields);
  } else {
    throw UserError(path.string() + ": model_type '" + type +
                    "' is not supported (higgs_audio_v2, higgs_audio)");
  }
  size_of(fields, "number of codebooks", config.num_codebooks, kMaxModelParts);
  size_of(fields, "codebook size", config.codebook_rows, kMaxCodebookRows);
  if (config.codebook_rows < 3) throw UserError(path.string() + ": a codebook without codes");
  if (config.stream_bos_id < 0 || config.stream_eos_id < 0 || config.stream_bos_id >= config.codebook_rows ||
      config.stream_eos_id >= config.codebook_rows) {
    throw UserError(path.string() + ": audio stream ids lie outside the codebook of " +
                    std::to_string(config.codebook_rows));
  }
  return config;
}

}  // namespace higgs
