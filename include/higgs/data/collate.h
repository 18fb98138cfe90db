// Samples -> padded batch, field for field as boson_multimodal's HiggsAudioSampleCollator makes it.
// Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "higgs/codec/codes.h"
#include "higgs/data/chatml.h"

namespace higgs {

// Row-major matrix of ids.
struct IdMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<std::int64_t> values;

  IdMatrix() = default;
  IdMatrix(std::int64_t r, std::int64_t c, std::int64_t fill = 0)
      : rows(r), cols(c), values(static_cast<std::size_t>(r * c), fill) {}
  std::int64_t& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * cols + c)]; }
  std::int64_t at(std::int64_t r, std::int64_t c) const {
    return values[static_cast<std::size_t>(r * cols + c)];
  }
};

// A clip that the model's audio tower hears. Its samples are not kept: a day of speech would take 5 GB. They
// are read again, resampled and made into features each time a batch needs them, which costs a few
// milliseconds a clip, little beside the tower's own work.
struct HeardClip {
  std::int64_t num_samples = 0;              // at 16 kHz
  std::string hash;                          // of its bytes and its range
  std::function<std::vector<float>()> read;  // those samples; UserError when the file has gone or changed
  AudioContent clip;                         // as the manifest names it
};

// A sample with its clips encoded: codes[i] belongs to the i-th placeholder id in input_ids.
struct EncodedSample {
  std::vector<std::int64_t> input_ids;
  std::optional<std::vector<std::int64_t>> label_ids;
  std::vector<Codes> codes;
  // Labels of codes[i], of the same shape, kIgnore where not supervised. Read only with
  // CollateOptions::disable_codes_transform; else labels follow from the codes.
  std::vector<Codes> label_codes;
  // heard[i] is the clip of codes[i] where CollateOptions::whisper wants it: at <|AUDIO|>.
  std::vector<HeardClip> heard;
  std::string where;  // manifest:line, for errors
};

// Features for the model's audio tower (the reference's encode_whisper_embed).
struct WhisperOptions {
  std::int64_t num_mels = 128;
  std::int64_t num_frames = 3000;  // of each block of features
  std::int64_t chunk_samples =
      480000;  // a longer clip is cut into chunks of so many, each with its own tokens
};

// Meaning and defaults of each: see HiggsAudioSampleCollator and goldens/boson/collator.
struct CollateOptions {
  std::int64_t audio_in_id = -1;   // <|AUDIO|>; -1 when the model has none
  std::int64_t audio_out_id = -1;  // <|AUDIO_OUT|>
  std::int64_t pad_id = 0;
  std::int64_t stream_bos_id = 1024;  // per codebook
  std::int64_t stream_eos_id = 1025;
  std::int64_t round_to = 1;
  bool pad_left = false;
  bool return_audio_in_tokens = true;
  std::optional<std::int64_t> num_codebooks;  // keep only the first so many
  bool use_delay_pattern = true;
  bool disable_codes_transform = false;  // codes already carry BOS/EOS and delay
  bool mask_audio_out_label = true;
  std::optional<WhisperOptions> whisper;
};

// The batch's audio_features and what its audio_feature_attention_mask says.
struct AudioFeatures {
  std::int64_t num_mels = 0, num_frames = 0;
  std::vector<std::int64_t> num_valid;  // [chunks] frames at the start of each that hold sound
  std::vector<float> values;            // [chunks, num_mels, num_frames]
};

struct CollatedBatch {
  IdMatrix input_ids;                             // [B, S]
  IdMatrix attention_mask;                        // [B, S]
  std::optional<IdMatrix> label_ids;              // [B, S]; nothing when no sample has labels
  IdMatrix audio_out_ids;                         // [codebooks, sum of L]; [0, 0] when there is none
  std::vector<std::int64_t> audio_out_ids_start;  // [clips]
  std::optional<std::vector<std::int64_t>>
      audio_out_ids_start_group_loc;     // one entry per sample, as the reference
  std::optional<IdMatrix> audio_in_ids;  // nothing without return_audio_in_tokens
  std::optional<std::vector<std::int64_t>> audio_in_ids_start;
  std::optional<IdMatrix> label_audio_ids;      // like audio_out_ids; kIgnore where not supervised
  std::optional<AudioFeatures> audio_features;  // with CollateOptions::whisper; one chunk per <|AUDIO|> id
};

// Unlike the reference it never changes its inputs: masking <|AUDIO_OUT|> labels happens on a copy, so a
// sample kept for the next epoch keeps its supervision. UserError when a sample's clips and placeholder ids
// differ in number, when only some samples have labels, when clips differ in their number of codebooks, when
// labels of given codes are missing, or when the reference's Whisper branch would lose count of the clips
// (see cut_into_chunks).
CollatedBatch collate(std::span<const EncodedSample* const> samples, const CollateOptions& options);

// The sample's ids and labels with the three tokens around each <|AUDIO|> repeated for each further chunk of
// its clip; nothing when no clip is longer than a chunk. The reference then counts more clips than it has
// codes for, so such a sample may neither give codes of heard clips to the model nor hold an <|AUDIO_OUT|>;
// and an <|AUDIO|> must not follow an <|AUDIO_OUT|>. UserError where it does.
std::optional<EncodedSample> cut_into_chunks(const EncodedSample& sample, const CollateOptions& options);
// Rows that the audio tower makes of a chunk with so many valid frames: both halvings round as the
// reference's.
std::int64_t num_feature_rows(std::int64_t num_valid);
// Positions that a heard clip takes: the rows of its chunks, and the two tokens around each further chunk.
std::int64_t heard_length(std::int64_t num_samples, const WhisperOptions& options);
// Features of the samples' heard clips, chunk after chunk, read anew.
AudioFeatures audio_features(std::span<const EncodedSample* const> samples, const CollateOptions& options);

// [C, T] -> [C, T + C - 1]: codebook k shifted right by k, `bos` before, `pad` after (arXiv 2306.05284).
IdMatrix apply_delay_pattern(const IdMatrix& codes, std::int64_t bos, std::int64_t pad);
// Undoes it: [C, L] -> [C, L - C + 1]. UserError when L < C - 1.
IdMatrix revert_delay_pattern(const IdMatrix& delayed);

}  // namespace higgs
