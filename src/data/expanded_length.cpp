#include "higgs/data/expanded_length.h"

namespace higgs {

std::int64_t expanded_length(std::span<const std::int64_t> input_ids, std::span<const ClipLength> clips,
                             const SpecialIds& ids) {
  auto length = static_cast<std::int64_t>(input_ids.size());
  std::size_t clip = 0;
  for (const std::int64_t id : input_ids) {
    if (id != ids.audio_in && id != ids.audio_out) continue;
    --length;
    if (id == ids.audio_out || ids.encode_audio_in) {
      length += clips[clip].num_frames + ids.num_codebooks + 1;  // T + 2 + (C - 1)
    }
    if (id == ids.audio_in && ids.whisper) {
      length += heard_length(clips[clip].num_heard_samples, *ids.whisper);
    }
    ++clip;
  }
  return length;
}

std::int64_t num_supervised(const TokenizedSample& tokens, std::span<const ClipLength> clips,
                            const SpecialIds& ids) {
  std::int64_t count = 0;
  std::size_t clip = 0;
  for (std::size_t i = 0; i < tokens.input_ids.size(); ++i) {
    const std::int64_t id = tokens.input_ids[i];
    const bool supervised = tokens.label_ids[i] != kIgnore;
    if (id == ids.audio_in || id == ids.audio_out) {
      // All columns but that of BOS: codebook k has its labels in the columns k + 1 to k + 1 + T.
      if (supervised && id == ids.audio_out) count += clips[clip].num_frames + ids.num_codebooks;
      ++clip;
    } else if (supervised) {
      ++count;
    }
  }
  return count;
}

}  // namespace higgs
