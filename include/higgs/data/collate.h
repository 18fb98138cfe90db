// Samples -> padded batch, field for field as boson_multimodal's HiggsAudioSampleCollator makes it
// (without the Whisper branch). Torch-free.
#pragma once

#include <cstdint>
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

// A sample with its clips encoded: codes[i] belongs to the i-th placeholder id in input_ids.
struct EncodedSample {
  std::vector<std::int64_t> input_ids;
  std::optional<std::vector<std::int64_t>> label_ids;
  std::vector<Codes> codes;
  // Labels of codes[i], of the same shape, kIgnore where not supervised. Read only with
  // CollateOptions::disable_codes_transform; else labels follow from the codes.
  std::vector<Codes> label_codes;
  std::string where;  // manifest:line, for errors
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
  std::optional<IdMatrix> label_audio_ids;  // like audio_out_ids; kIgnore where not supervised
};

// Unlike the reference it never changes its inputs: masking <|AUDIO_OUT|> labels happens on a copy, so a
// sample kept for the next epoch keeps its supervision. UserError when a sample's clips and placeholder ids
// differ in number, when only some samples have labels, when clips differ in their number of codebooks, or
// when labels of given codes are missing.
CollatedBatch collate(std::span<const EncodedSample* const> samples, const CollateOptions& options);

// [C, T] -> [C, T + C - 1]: codebook k shifted right by k, `bos` before, `pad` after (arXiv 2306.05284).
IdMatrix apply_delay_pattern(const IdMatrix& codes, std::int64_t bos, std::int64_t pad);
// Undoes it: [C, L] -> [C, L - C + 1]. UserError when L < C - 1.
IdMatrix revert_delay_pattern(const IdMatrix& delayed);

}  // namespace higgs
