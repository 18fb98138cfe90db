#include "config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "higgs/base/error.h"

namespace higgs::codec {
namespace {

constexpr std::int64_t kMaxHop = 1 << 16;  // keeps every length computed from it small

std::int64_t product(const std::vector<std::int64_t>& numbers) {
  std::int64_t result = 1;
  for (const std::int64_t n : numbers) result *= n;
  return result;
}

std::int64_t positive(const JsonObject& json, const std::string& key, std::int64_t fallback,
                      std::int64_t maximum) {
  const std::int64_t value = json.integer(key, fallback);
  if (value < 1 || value > maximum) {
    throw UserError(json.where() + ": key '" + key + "' must be 1 to " + std::to_string(maximum));
  }
  return value;
}

// Strides or dilations: a short list of small numbers, so that no product of them overflows.
std::vector<std::int64_t> factors(const JsonObject& json, const std::string& key,
                                  const std::vector<std::int64_t>& fallback) {
  const std::vector<std::int64_t> values = json.has(key) ? json.integers(key) : fallback;
  const bool fits = std::all_of(values.begin(), values.end(), [](auto v) { return v >= 1 && v <= 64; });
  if (values.empty() || values.size() > 8 || !fits) {
    throw UserError(json.where() + ": key '" + key + "' must be a list of 1 to 8 numbers from 1 to 64");
  }
  return values;
}

void require(const JsonObject& json, const std::string& key, const std::string& wanted) {
  const std::string value = json.string(key, wanted);
  if (value != wanted) {
    throw UserError(json.where() + ": key '" + key + "' is '" + value + "'; only '" + wanted +
                    "' is supported");
  }
}

void require_off(const JsonObject& json, const std::string& key) {
  if (json.boolean(key, false)) throw UserError(json.where() + ": '" + key + "' is not supported");
}

void check_hop(const JsonObject& json, const CodecConfig& config, const std::string& key) {
  if (config.hop_length() <= kMaxHop) return;
  throw UserError(json.where() + ": " + key + " multiply to " + std::to_string(config.hop_length()) +
                  " samples per frame, more than " + std::to_string(kMaxHop));
}

// boson_multimodal's class takes these arguments and no others; those that change nothing it computes when
// encoding and decoding are not looked at.
void check_boson_keys(const JsonObject& json) {
  static const std::set<std::string> known = {"n_filters",
                                              "D",
                                              "target_bandwidths",
                                              "ratios",
                                              "sample_rate",
                                              "bins",
                                              "n_q",
                                              "codebook_dim",
                                              "normalize",
                                              "causal",
                                              "merge_mode",
                                              "vq_scale",
                                              "semantic_techer",
                                              "downsample_mode",
                                              "last_layer_semantic",
                                              "semantic_mode",
                                              "semantic_sample_rate"};
  for (const auto& [key, value] : json.json().items()) {
    if (known.count(key) == 0) throw UserError(json.where() + ": key '" + key + "' is unknown");
  }
}

// As many quantizers as the highest bandwidth (kbit/s) asks for.
std::int64_t num_quantizers(const JsonObject& json, const CodecConfig& config) {
  const std::string key = "target_bandwidths";
  double bandwidth = 4.0;
  if (json.has(key)) {
    const Json& list = json.json().at(key);
    if (!list.is_array() || list.empty() || !list.back().is_number()) {
      throw UserError(json.where() + ": key '" + key + "' must be a list of numbers");
    }
    bandwidth = list.back().get<double>();
  }
  const std::int64_t hop = config.hop_length();
  const std::int64_t frame_rate = (config.sample_rate + hop - 1) / hop;
  const auto bits =
      static_cast<std::int64_t>(std::ceil(std::log2(static_cast<double>(config.codebook_size))));
  const double count = std::floor(1000.0 * bandwidth / static_cast<double>(frame_rate * bits));
  if (!(count >= 1 && count <= 64)) {
    throw UserError(json.where() + ": key '" + key + "' asks for no sensible number of quantizers");
  }
  return static_cast<std::int64_t>(count);
}

}  // namespace

std::int64_t CodecConfig::hop_length() const {
  return product(encoder_strides);
}

std::int64_t CodecConfig::semantic_step() const {
  const double rates = static_cast<double>(sample_rate) / static_cast<double>(semantic_sample_rate);
  const double step = static_cast<double>(hop_length()) / rates / static_cast<double>(semantic_hop);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(step));
}

HubertConfig parse_hubert_config(const JsonObject& json) {
  require(json, "model_type", "hubert");
  require(json, "feat_extract_norm", "group");
  require(json, "feat_extract_activation", "gelu");
  require(json, "hidden_act", "gelu");
  require_off(json, "do_stable_layer_norm");
  require_off(json, "conv_pos_batch_norm");
  HubertConfig config;
  config.conv_strides = factors(json, "conv_stride", config.conv_strides);
  config.num_layers = positive(json, "num_hidden_layers", config.num_layers, 1000);
  config.num_heads = positive(json, "num_attention_heads", config.num_heads, 1000);
  config.pos_conv_groups = positive(json, "num_conv_pos_embedding_groups", config.pos_conv_groups, 1 << 16);
  config.layer_norm_eps = json.number("layer_norm_eps", config.layer_norm_eps);
  config.projection_norm = json.boolean("feat_proj_layer_norm", config.projection_norm);
  return config;
}

CodecConfig parse_hf_config(const JsonObject& json) {
  CodecConfig config;
  config.sample_rate = positive(json, "sample_rate", config.sample_rate, 768000);
  config.semantic_sample_rate = positive(json, "semantic_sample_rate", config.semantic_sample_rate, 768000);
  config.semantic_hop = positive(json, "downsample_factor", config.semantic_hop, 1 << 20);
  config.codebook_size = positive(json, "codebook_size", config.codebook_size, 1 << 15);
  config.semantic_strides = factors(json, "strides", config.semantic_strides);
  config.semantic_dilations = factors(json, "block_dilations", config.semantic_dilations);
  if (json.has("acoustic_model_config")) {
    const JsonObject acoustic = json.object("acoustic_model_config");
    require(acoustic, "model_type", "dac");
    config.encoder_strides = factors(acoustic, "downsampling_ratios", config.encoder_strides);
    config.decoder_strides = factors(acoustic, "upsampling_ratios", config.decoder_strides);
  }
  if (json.has("semantic_model_config"))
    config.hubert = parse_hubert_config(json.object("semantic_model_config"));
  check_hop(json, config, "downsampling_ratios");
  if (product(config.decoder_strides) != config.hop_length()) {
    throw UserError(json.where() + ": downsampling_ratios multiply to " +
                    std::to_string(config.hop_length()) + ", upsampling_ratios to " +
                    std::to_string(product(config.decoder_strides)) + "; they must agree");
  }
  config.num_quantizers = num_quantizers(json, config);
  return config;
}

BosonConfig parse_boson_config(const JsonObject& json) {
  check_boson_keys(json);
  const std::string teacher = json.string("semantic_techer", "hubert_base_general");
  if (teacher != "hubert_base_general" && teacher != "hubert_base") {
    throw UserError(json.where() + ": key 'semantic_techer' is '" + teacher +
                    "'; only 'hubert_base_general' and 'hubert_base' are supported");
  }
  require(json, "downsample_mode", "step_down");
  if (!json.has("codebook_dim")) {
    throw UserError(json.where() +
                    ": key 'codebook_dim' is missing; codebooks as wide as what they code are not " +
                    "supported");
  }
  BosonConfig boson;
  boson.acoustic_width = positive(json, "D", boson.acoustic_width, 1 << 20);
  boson.codebook_width = positive(json, "codebook_dim", 0, 1 << 20);
  CodecConfig& config = boson.codec;
  config.sample_rate = positive(json, "sample_rate", 16000, 768000);
  config.semantic_sample_rate = positive(json, "semantic_sample_rate", 16000, 768000);
  config.encoder_strides = factors(json, "ratios", config.encoder_strides);
  config.decoder_strides = config.encoder_strides;
  config.codebook_size = positive(json, "bins", config.codebook_size, 1 << 15);
  config.num_quantizers = positive(json, "n_q", config.num_quantizers, 64);
  check_hop(json, config, "ratios");
  return boson;
}

}  // namespace higgs::codec
