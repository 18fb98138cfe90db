// What a base checkpoint's config.json says about the model, whichever of the two public layouts it is in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

// The two public layouts of one model: they differ in key names and in the shape of config.json.
enum class Layout { kHf, kBoson };

// RoPE frequencies scaled as in Llama 3.1 (rope_type "llama3").
struct RopeScaling {
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_max_position = 8192.0;
};

// What a decoder layer does with audio rows (frames, in or out).
enum class LayerForm {
  kDualFfn,      // they have norms and an FFN of their own
  kFastForward,  // they pass unchanged, unseen by the text rows
  kTextFfn,      // they are treated as text rows are
};

// The Whisper encoder that hears clips of user and system turns; defaults of the reference's class.
struct AudioTowerConfig {
  std::int64_t num_mels = 128;
  std::int64_t width = 1280;
  std::int64_t num_layers = 32;
  std::int64_t num_heads = 20;
  std::int64_t ffn_width = 5120;
  std::int64_t max_positions = 1500;  // after the convolutions, which halve the frames
};

// Upper bounds of what a config.json may ask for: a hundred times what models have, and small enough that no
// product of two sizes overflows.
inline constexpr std::int64_t kMaxModelSize = std::int64_t{1} << 24;  // vocabulary, positions, the tower
inline constexpr std::int64_t kMaxModelParts = 4096;                  // layers, heads, codebooks
inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;      // of the decoder
inline constexpr std::int64_t kMaxCodebookRows = 32768;               // codes are stored as int16

struct ModelConfig {
  Layout layout = Layout::kHf;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::vector<LayerForm> layer_forms;  // [num_layers]
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 0;
  std::optional<RopeScaling> rope_scaling;

  std::int64_t num_codebooks = 0;
  std::int64_t codebook_rows = 0;  // codes + BOS + EOS: 1026
  std::int64_t stream_bos_id = 0;  // 1024
  std::int64_t stream_eos_id = 0;  // 1025
  std::int64_t pad_token_id = 0;
  // Clips in user and system turns: their codes are given to the model, their Whisper features are (both may
  // be, or neither: such clips are not seen).
  bool encode_audio_in_tokens = true;
  std::optional<AudioTowerConfig> audio_tower;
  std::optional<std::int64_t> audio_in_token_id;   // boson: <|AUDIO|>; HF configs have none
  std::optional<std::int64_t> audio_out_token_id;  // <|AUDIO_OUT|>
};

// UserError naming file and key for anything missing, inconsistent, or asked for and not supported.
ModelConfig read_model_config(const fs::path& folder);

}  // namespace higgs
