// Padded batch -> one row of real tokens: placeholders expanded into their frames, padding gone, every index
// the model needs built once on the CPU. N rows, C codebooks, B samples, M audio-out rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <span>
#include <vector>

#include "higgs/data/collate.h"
#include "higgs/kernels/dropout.h"

namespace higgs {

// kFeature: what the audio tower heard of an <|AUDIO|> clip.
enum class RowKind : std::uint8_t { kText = 0, kAudioIn = 1, kAudioOut = 2, kFeature = 3 };

struct PackedBatch {
  std::int64_t num_rows = 0;
  std::vector<std::int64_t> cu_seqlens;       // [B + 1] row where each sample begins, then N
  std::vector<std::int64_t> text_cu_seqlens;  // [B + 1] the same among text_rows, then Nt
  at::Tensor cu_seqlens_int32;                // int32 [B + 1]: the first as GPU kernels read them

  at::Tensor text_rows;  // int64 [Nt]: rows that hold a text token or a feature: they use the text FFN
  at::Tensor text_ids;   // int64 [Nt]; 0 at features
  at::Tensor
      audio_rows;  // int64 [Na]: rows that hold a frame (audio in or out): they use the audio FFN and norms
  at::Tensor audio_ids;  // int64 [Na, C]: ids with BOS, EOS and delay
  // What the audio tower hears, undefined when nothing is: chunks of features, how many frames of each are
  // valid, and for each feature row its place in text_rows and the one in the tower's output [chunks *
  // num_frames / 4].
  at::Tensor audio_features;   // float [chunks, mels, frames]
  at::Tensor features_valid;   // int64 [chunks]
  at::Tensor feature_slots;    // int64 [Nf]
  at::Tensor feature_sources;  // int64 [Nf]

  at::Tensor positions;       // int64 [N]: from 0 in each sample
  at::Tensor is_audio;        // bool [N, 1]
  at::Tensor kind;            // uint8 [N]: RowKind
  at::Tensor audio_out_rows;  // int64 [M]
  RowIndex index;             // for dropout

  at::Tensor text_labels;   // int64 [N], at their own position; kIgnore where not supervised
  at::Tensor audio_labels;  // int64 [M, C]

  // Targets: the row whose logits predict them (position t for the label at t + 1 of the same sample, and for
  // audio of the same clip).
  at::Tensor text_target_rows;   // int64 [T]
  at::Tensor text_targets;       // int64 [T]
  at::Tensor audio_target_rows;  // int64 [S]: rows with at least one supervised codebook
  at::Tensor audio_targets;      // int64 [S, C]; kIgnore where not supervised

  // The rows of both, ascending, for a forward pass that needs no other: and where among them stand those
  // that use the text FFN, the audio FFN, and the target rows above.
  at::Tensor target_rows;                // int64 [L]
  at::Tensor target_text, target_audio;  // int64, together [L]
  at::Tensor text_target_slots;          // int64 [T]
  at::Tensor audio_target_slots;         // int64 [S]

  std::int64_t num_text_targets = 0;
  std::vector<std::int64_t> num_audio_targets;  // [C]

  std::int64_t num_samples() const { return static_cast<std::int64_t>(cu_seqlens.size()) - 1; }
  std::size_t num_bytes() const;  // of its tensors
  PackedBatch to(at::Device device, bool non_blocking = false) const;
  PackedBatch pinned() const;  // in host memory that a device can copy from by itself
  // Tells the allocator that work queued on `stream` uses these tensors, which were made on another one.
  void used_on(c10::Stream stream) const;
};

struct PackOptions {
  std::int64_t audio_in_id = -1;
  std::int64_t audio_out_id = -1;
  std::int64_t num_codebooks = 8;
  // Of each sample, its place in the optimizer step (for dropout); none: 0, 1, 2, ...
  std::span<const std::int64_t> places = {};
};

PackedBatch pack(const CollatedBatch& batch, const PackOptions& options);

// Rows [begin, end) of one sample of `batch` as a batch of their own, to be computed behind a key/value cache
// of the sample's rows before them. Labels and targets are left out.
PackedBatch slice_rows(const PackedBatch& batch, std::int64_t begin, std::int64_t end);

}  // namespace higgs
