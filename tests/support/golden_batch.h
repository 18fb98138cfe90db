// Batches stored beside reference outputs, as this program's own.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/data/pack.h"
#include "support/torch_compare.h"

namespace higgs::test {

inline IdMatrix matrix(const SafetensorsFile& file, const std::string& name) {
  const TensorView& view = file.at(name);
  IdMatrix out(view.shape.at(0), view.shape.at(1));
  out.values = file.integers(name);
  return out;
}

// The reference collator's fields, stored as PREFIXinput_ids and so on.
inline CollatedBatch boson_batch(const SafetensorsFile& file, const std::string& prefix) {
  CollatedBatch batch;
  batch.input_ids = matrix(file, prefix + "input_ids");
  batch.attention_mask = matrix(file, prefix + "attention_mask");
  if (file.contains(prefix + "label_ids")) batch.label_ids = matrix(file, prefix + "label_ids");
  batch.audio_out_ids = matrix(file, prefix + "audio_out_ids");
  batch.audio_out_ids_start = file.integers(prefix + "audio_out_ids_start");
  if (file.contains(prefix + "audio_in_ids")) {
    batch.audio_in_ids = matrix(file, prefix + "audio_in_ids");
    batch.audio_in_ids_start = file.integers(prefix + "audio_in_ids_start");
  }
  if (file.contains(prefix + "label_audio_ids")) {
    batch.label_audio_ids = matrix(file, prefix + "label_audio_ids");
  }
  if (file.contains(prefix + "audio_features")) {
    AudioFeatures& features = batch.audio_features.emplace();
    features.num_mels = file.at(prefix + "audio_features").shape.at(1);
    features.num_frames = file.at(prefix + "audio_features").shape.at(2);
    features.values = file.floats(prefix + "audio_features");
    const at::Tensor valid = load(file, prefix + "audio_feature_attention_mask").sum(1);
    for (std::int64_t i = 0; i < valid.size(0); ++i)
      features.num_valid.push_back(valid[i].item<std::int64_t>());
  }
  return batch;
}

// Values of a [B, S, ...] tensor where the [B, S] mask is not 0, row after row: [N, ...].
inline at::Tensor at_real_positions(const at::Tensor& tensor, const at::Tensor& mask) {
  return tensor.flatten(0, 1).index_select(0, mask.flatten().nonzero().squeeze(1));
}

// A batch of transformers' forward: ids already expanded, frames apart. Built without pack(), so that it can
// hold labels that pack() never makes (text labels at frames, as transformers' processor writes them).
class HfBatch {
 public:
  explicit HfBatch(const fs::path& path, const fs::path& model) : file_(path) {
    const Json config = read_json_file(model / "config.json");
    const auto audio_id = config.at("audio_token_id").get<std::int64_t>();
    const auto delay_id = config.at("audio_delay_token_id").get<std::int64_t>();
    const at::Tensor ids = load(file_, "input_ids");
    labels = load(file_, "labels");
    mask = load(file_, "attention_mask");
    const at::Tensor frame_mask = load(file_, "audio_input_ids_mask").to(at::kLong);
    const at::Tensor frames = at_real_positions(load(file_, "audio_input_ids"), frame_mask);
    const at::Tensor frame_labels = at_real_positions(load(file_, "audio_labels"), frame_mask);
    packed.cu_seqlens = {0};
    for (std::int64_t b = 0; b < ids.size(0); ++b) {
      for (std::int64_t t = 0; t < ids.size(1); ++t) {
        if (mask[b][t].item<std::int64_t>() == 0) continue;
        const auto id = ids[b][t].item<std::int64_t>();
        add(id, labels[b][t].item<std::int64_t>(), id == audio_id || id == delay_id, b, frame_labels);
      }
      packed.cu_seqlens.push_back(rows());
    }
    finish(frames);
  }

  PackedBatch packed;
  at::Tensor mask, labels;  // int64 [B, S]

 private:
  std::int64_t rows() const { return static_cast<std::int64_t>(kind_.size()); }

  void add(std::int64_t id, std::int64_t label, bool audio, std::int64_t sample, const at::Tensor& frames) {
    const std::int64_t row = rows(), position = row - packed.cu_seqlens.back();
    kind_.push_back(audio ? 2 : 0);
    positions_.push_back(position);
    samples_.push_back(sample);
    text_labels_.push_back(label);
    if (label != kIgnore && position > 0) {
      text_target_rows_.push_back(row - 1);
      text_targets_.push_back(label);
    }
    if (audio) {
      const at::Tensor frame = frames[static_cast<std::int64_t>(audio_rows_.size())];
      audio_rows_.push_back(row);
      if (position > 0 && frame.ne(kIgnore).any().item<bool>()) {
        audio_target_rows_.push_back(row - 1);
        audio_targets_.push_back(frame);
      }
    } else {
      text_rows_.push_back(row);
      text_ids_.push_back(id);
    }
  }

  void finish(const at::Tensor& frames) {
    packed.num_rows = rows();
    packed.text_rows = at::tensor(text_rows_);
    packed.text_ids = at::tensor(text_ids_);
    packed.audio_rows = packed.audio_out_rows = at::tensor(audio_rows_);
    packed.audio_ids = frames;
    packed.positions = at::tensor(positions_);
    packed.kind = at::tensor(kind_).to(at::kByte);
    packed.is_audio = packed.kind.ne(0).unsqueeze(1);
    packed.index = {at::tensor(samples_).to(at::kInt), packed.positions.to(at::kInt)};
    packed.text_labels = at::tensor(text_labels_);
    packed.text_target_rows = at::tensor(text_target_rows_);
    packed.text_targets = at::tensor(text_targets_);
    packed.audio_target_rows = at::tensor(audio_target_rows_);
    packed.audio_targets = at::stack(audio_targets_);
    packed.num_text_targets = packed.text_targets.numel();
    const at::Tensor counts = packed.audio_targets.ne(kIgnore).sum(0);
    for (std::int64_t k = 0; k < counts.numel(); ++k)
      packed.num_audio_targets.push_back(counts[k].item<std::int64_t>());
  }

  SafetensorsFile file_;
  std::vector<std::int64_t> kind_, positions_, samples_, text_rows_, text_ids_, text_labels_,
      text_target_rows_, text_targets_, audio_rows_, audio_target_rows_;
  std::vector<at::Tensor> audio_targets_;
};

}  // namespace higgs::test
