// What a codec folder's configuration says beyond what the tensors' shapes show.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "higgs/base/json.h"

namespace higgs::codec {

// The defaults are those of the published base model.
struct HubertConfig {
  std::vector<std::int64_t> conv_strides = {5, 2, 2, 2, 2, 2, 2};
  std::int64_t num_layers = 12;
  std::int64_t num_heads = 12;
  std::int64_t pos_conv_groups = 16;
  double layer_norm_eps = 1e-5;
  bool projection_norm = true;  // layer norm before the feature projection
};

struct CodecConfig {
  std::int64_t sample_rate = 24000;
  std::int64_t semantic_sample_rate = 16000;
  std::int64_t semantic_hop = 320;  // 16 kHz samples per HuBERT frame, as configured
  std::vector<std::int64_t> encoder_strides = {8, 5, 4, 2};
  std::vector<std::int64_t> decoder_strides = {8, 5, 4, 2};
  std::vector<std::int64_t> semantic_strides = {1, 1};
  std::vector<std::int64_t> semantic_dilations = {1, 1};
  std::int64_t codebook_size = 1024;
  std::int64_t num_quantizers = 8;
  HubertConfig hubert;

  std::int64_t hop_length() const;     // samples per frame
  std::int64_t semantic_step() const;  // every n-th HuBERT frame is used
};

// HuBERT settings as transformers writes them. UserError names a setting that is not supported.
HubertConfig parse_hubert_config(const JsonObject& json);

// config.json of the HF layout.
CodecConfig parse_hf_config(const JsonObject& json);

struct BosonConfig {
  CodecConfig codec;  // without HuBERT's settings, which stand elsewhere
  std::int64_t acoustic_width = 128;
  std::int64_t codebook_width = 0;
};

// config.json of the boson layout: the arguments of boson_multimodal's HiggsAudioTokenizer, with its
// defaults. UserError names a key it doesn't have, or a value that asks for what isn't supported.
BosonConfig parse_boson_config(const JsonObject& json);

}  // namespace higgs::codec
