#include "higgs/model/special_ids.h"

#include "higgs/audio/log_mel.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

void check_apart(const SpecialIds& ids) {
  if (ids.audio_in < 0 || ids.audio_in != ids.audio_out) return;
  throw UserError("<|AUDIO|> and <|AUDIO_OUT|> have the same id, " + std::to_string(ids.audio_in) +
                  "; config.json or the tokenizer is damaged");
}

}  // namespace

SpecialIds special_ids(const ModelConfig& config) {
  SpecialIds ids;
  ids.audio_in = config.audio_in_token_id.value_or(-1);
  ids.audio_out = config.audio_out_token_id.value_or(-1);
  ids.pad = config.pad_token_id;
  ids.stream_bos = config.stream_bos_id;
  ids.stream_eos = config.stream_eos_id;
  ids.num_codebooks = config.num_codebooks;
  ids.codebook_size = config.codebook_rows - 2;
  ids.encode_audio_in = config.encode_audio_in_tokens;
  if (config.audio_tower) {
    const std::int64_t frames = 2 * config.audio_tower->max_positions;
    ids.whisper = WhisperOptions{config.audio_tower->num_mels, frames, frames * kMelHop};
  }
  check_apart(ids);
  return ids;
}

SpecialIds special_ids(const ModelConfig& config, const Tokenizer& tokenizer) {
  SpecialIds ids = special_ids(config);
  // HF's configuration has no audio-in id, so names decide; where the configuration says one, it must agree.
  ids.audio_in = tokenizer.find("<|AUDIO|>").value_or(-1);
  ids.audio_out = tokenizer.id_of("<|AUDIO_OUT|>");
  const auto agree = [](const char* name, std::int64_t by_name, std::optional<std::int64_t> configured) {
    if (configured && *configured != by_name) {
      throw UserError(std::string("config.json says ") + std::to_string(*configured) + " for " + name +
                      ", the tokenizer " + std::to_string(by_name) + "; they are of different checkpoints");
    }
  };
  agree("<|AUDIO|>", ids.audio_in, config.audio_in_token_id);
  agree("<|AUDIO_OUT|>", ids.audio_out, config.audio_out_token_id);
  if (tokenizer.vocab_size() > config.vocab_size) {
    throw UserError("the tokenizer has " + std::to_string(tokenizer.vocab_size()) +
                    " tokens, the model only " + std::to_string(config.vocab_size) +
                    "; they are of different checkpoints");
  }
  check_apart(ids);
  return ids;
}

}  // namespace higgs
