#include "higgs/data/pack.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "higgs/base/error.h"

namespace higgs {
namespace {

at::Tensor tensor_of(const std::vector<std::int64_t>& values, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kLong);
  HIGGS_ASSERT(out.numel() == static_cast<std::int64_t>(values.size()));
  if (!values.empty())
    std::memcpy(out.mutable_data_ptr(), values.data(), values.size() * sizeof(std::int64_t));
  return out;
}

at::Tensor column(const std::vector<std::int64_t>& values) {
  return tensor_of(values, {static_cast<std::int64_t>(values.size())});
}

// Walks the clips of one stream (audio in, or out) in order.
class ClipCursor {
 public:
  ClipCursor(const IdMatrix* ids, const std::vector<std::int64_t>* starts) : ids_(ids), starts_(starts) {}

  bool present() const { return ids_ != nullptr; }
  // Columns [begin, end) of the next clip.
  std::pair<std::int64_t, std::int64_t> next() {
    HIGGS_ASSERT(clip_ < starts_->size());
    const std::int64_t begin = (*starts_)[clip_];
    const std::int64_t end = clip_ + 1 < starts_->size() ? (*starts_)[clip_ + 1] : ids_->cols;
    ++clip_;
    return {begin, end};
  }

 private:
  const IdMatrix* ids_;
  const std::vector<std::int64_t>* starts_;
  std::size_t clip_ = 0;
};

class Packer {
 public:
  Packer(const CollatedBatch& batch, const PackOptions& options) : batch_(batch), options_(options) {
    num_audio_targets_.assign(static_cast<std::size_t>(options.num_codebooks), 0);
  }

  PackedBatch run() {
    ClipCursor out(&batch_.audio_out_ids, &batch_.audio_out_ids_start);
    ClipCursor in(batch_.audio_in_ids ? &*batch_.audio_in_ids : nullptr,
                  batch_.audio_in_ids_start ? &*batch_.audio_in_ids_start : nullptr);
    cu_seqlens_ = text_cu_seqlens_ = {0};
    for (std::int64_t sample = 0; sample < batch_.input_ids.rows; ++sample) {
      begin_sample(sample);
      for (std::int64_t t = 0; t < batch_.input_ids.cols; ++t) {
        if (batch_.attention_mask.at(sample, t) == 0) continue;
        const std::int64_t id = batch_.input_ids.at(sample, t);
        if (id == options_.audio_out_id) {
          add_clip(batch_.audio_out_ids, out.next(), RowKind::kAudioOut);
        } else if (id == options_.audio_in_id) {
          // Without codes and features the reference gives the placeholder no embedding and masks it: the row
          // vanishes. Features come before codes.
          if (batch_.audio_features) add_features(*batch_.audio_features);
          if (in.present()) add_clip(*batch_.audio_in_ids, in.next(), RowKind::kAudioIn);
        } else {
          add_text(id, batch_.label_ids ? batch_.label_ids->at(sample, t) : kIgnore);
        }
      }
      cu_seqlens_.push_back(num_rows());
      text_cu_seqlens_.push_back(static_cast<std::int64_t>(text_rows_.size()));
    }
    return build();
  }

 private:
  std::int64_t num_rows() const { return static_cast<std::int64_t>(kind_.size()); }

  void begin_sample(std::int64_t sample) {
    sample_ = options_.places.empty() ? sample : options_.places[static_cast<std::size_t>(sample)];
  }

  void add_row(RowKind kind) {
    positions_.push_back(num_rows() - cu_seqlens_.back());
    kind_.push_back(static_cast<std::int64_t>(kind));
    samples_.push_back(sample_);
  }

  void add_text(std::int64_t id, std::int64_t label) {
    const std::int64_t row = num_rows();
    add_row(RowKind::kText);
    text_rows_.push_back(row);
    text_ids_.push_back(id);
    text_labels_.push_back(label);
    if (label != kIgnore && row > cu_seqlens_.back()) {
      text_target_rows_.push_back(row - 1);
      text_targets_.push_back(label);
    }
  }

  void add_features(const AudioFeatures& features) {
    const std::int64_t chunk = next_chunk_++;
    const std::int64_t count = num_feature_rows(features.num_valid.at(static_cast<std::size_t>(chunk)));
    for (std::int64_t i = 0; i < count; ++i) {
      feature_slots_.push_back(static_cast<std::int64_t>(text_rows_.size()));
      feature_sources_.push_back(chunk * num_feature_rows(features.num_frames) + i);
      text_rows_.push_back(num_rows());
      text_ids_.push_back(0);
      text_labels_.push_back(kIgnore);
      add_row(RowKind::kFeature);
    }
  }

  void add_clip(const IdMatrix& ids, std::pair<std::int64_t, std::int64_t> columns, RowKind kind) {
    HIGGS_ASSERT(ids.rows == options_.num_codebooks);
    for (std::int64_t j = columns.first; j < columns.second; ++j) {
      const std::int64_t row = num_rows();
      add_row(kind);
      text_labels_.push_back(kIgnore);
      audio_rows_.push_back(row);
      for (std::int64_t k = 0; k < ids.rows; ++k) audio_ids_.push_back(ids.at(k, j));
      if (kind == RowKind::kAudioOut) {
        audio_out_rows_.push_back(row);
        add_audio_labels(j, j > columns.first ? row - 1 : -1);
      }
    }
  }

  // Labels of column j; `target_row` predicts them (-1: the clip's first column, which nothing predicts).
  void add_audio_labels(std::int64_t j, std::int64_t target_row) {
    bool supervised = false;
    const std::size_t begin = audio_labels_.size();
    for (std::int64_t k = 0; k < options_.num_codebooks; ++k) {
      const std::int64_t label = batch_.label_audio_ids ? batch_.label_audio_ids->at(k, j) : kIgnore;
      audio_labels_.push_back(label);
      if (label == kIgnore || target_row < 0) continue;
      supervised = true;
      ++num_audio_targets_[static_cast<std::size_t>(k)];
    }
    if (!supervised) return;
    audio_target_rows_.push_back(target_row);
    audio_targets_.insert(audio_targets_.end(), audio_labels_.begin() + static_cast<std::ptrdiff_t>(begin),
                          audio_labels_.end());
  }

  void add_target_rows(PackedBatch& packed) const {
    std::vector<std::int64_t> rows;
    std::set_union(text_target_rows_.begin(), text_target_rows_.end(), audio_target_rows_.begin(),
                   audio_target_rows_.end(), std::back_inserter(rows));
    const auto slots = [&](const std::vector<std::int64_t>& of) {
      std::vector<std::int64_t> found;
      for (const std::int64_t row : of) {
        found.push_back(std::lower_bound(rows.begin(), rows.end(), row) - rows.begin());
      }
      return found;
    };
    std::vector<std::int64_t> text, audio;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto kind = static_cast<RowKind>(kind_[static_cast<std::size_t>(rows[i])]);
      const bool is_audio = kind == RowKind::kAudioIn || kind == RowKind::kAudioOut;
      (is_audio ? audio : text).push_back(static_cast<std::int64_t>(i));
    }
    packed.target_rows = column(rows);
    packed.target_text = column(text);
    packed.target_audio = column(audio);
    packed.text_target_slots = column(slots(text_target_rows_));
    packed.audio_target_slots = column(slots(audio_target_rows_));
  }

  PackedBatch build() const {
    const std::int64_t C = options_.num_codebooks;
    const auto count = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
    PackedBatch packed;
    packed.num_rows = num_rows();
    packed.cu_seqlens = cu_seqlens_;
    packed.text_cu_seqlens = text_cu_seqlens_;
    packed.cu_seqlens_int32 = column(cu_seqlens_).to(at::kInt);
    packed.text_rows = column(text_rows_);
    packed.text_ids = column(text_ids_);
    packed.audio_rows = column(audio_rows_);
    packed.audio_ids = tensor_of(audio_ids_, {count(audio_rows_), C});
    packed.positions = column(positions_);
    packed.kind = column(kind_).to(at::kByte);
    packed.is_audio = packed.kind.eq(static_cast<int>(RowKind::kAudioIn))
                          .logical_or(packed.kind.eq(static_cast<int>(RowKind::kAudioOut)))
                          .unsqueeze(1);
    packed.audio_out_rows = column(audio_out_rows_);
    packed.index = {column(samples_).to(at::kInt), packed.positions.to(at::kInt)};
    packed.text_labels = column(text_labels_);
    packed.audio_labels = tensor_of(audio_labels_, {count(audio_out_rows_), C});
    packed.text_target_rows = column(text_target_rows_);
    packed.text_targets = column(text_targets_);
    packed.audio_target_rows = column(audio_target_rows_);
    packed.audio_targets = tensor_of(audio_targets_, {count(audio_target_rows_), C});
    add_target_rows(packed);
    packed.num_text_targets = count(text_targets_);
    packed.num_audio_targets = num_audio_targets_;
    if (batch_.audio_features && next_chunk_ > 0) {
      const AudioFeatures& features = *batch_.audio_features;
      HIGGS_ASSERT(next_chunk_ == count(features.num_valid));
      packed.audio_features = at::empty({next_chunk_, features.num_mels, features.num_frames}, at::kFloat);
      HIGGS_ASSERT(packed.audio_features.nbytes() == features.values.size() * sizeof(float));
      std::memcpy(packed.audio_features.mutable_data_ptr(), features.values.data(),
                  packed.audio_features.nbytes());
      packed.features_valid = column(features.num_valid);
      packed.feature_slots = column(feature_slots_);
      packed.feature_sources = column(feature_sources_);
    }
    return packed;
  }

  const CollatedBatch& batch_;
  const PackOptions& options_;
  std::int64_t sample_ = 0, next_chunk_ = 0;
  std::vector<std::int64_t> cu_seqlens_, text_cu_seqlens_, kind_, positions_, samples_;
  std::vector<std::int64_t> feature_slots_, feature_sources_;
  std::vector<std::int64_t> text_rows_, text_ids_, text_labels_, text_target_rows_, text_targets_;
  std::vector<std::int64_t> audio_rows_, audio_ids_, audio_out_rows_, audio_labels_, audio_target_rows_,
      audio_targets_;
  std::vector<std::int64_t> num_audio_targets_;
};

}  // namespace

PackedBatch pack(const CollatedBatch& batch, const PackOptions& options) {
  return Packer(batch, options).run();
}

namespace {

// Every tensor of a batch that is there.
template <typename Batch, typename Visit>
void for_each_tensor(Batch& batch, const Visit& visit) {
  for (auto* tensor : {&batch.text_rows,
                       &batch.text_ids,
                       &batch.audio_rows,
                       &batch.audio_ids,
                       &batch.positions,
                       &batch.is_audio,
                       &batch.kind,
                       &batch.audio_out_rows,
                       &batch.index.sample,
                       &batch.index.position,
                       &batch.text_labels,
                       &batch.audio_labels,
                       &batch.text_target_rows,
                       &batch.text_targets,
                       &batch.audio_target_rows,
                       &batch.audio_targets,
                       &batch.cu_seqlens_int32,
                       &batch.target_rows,
                       &batch.target_text,
                       &batch.target_audio,
                       &batch.text_target_slots,
                       &batch.audio_target_slots,
                       &batch.audio_features,
                       &batch.features_valid,
                       &batch.feature_slots,
                       &batch.feature_sources}) {
    if (tensor->defined()) visit(*tensor);
  }
}

}  // namespace

std::size_t PackedBatch::num_bytes() const {
  std::size_t bytes = 0;
  for_each_tensor(*this, [&](const at::Tensor& tensor) { bytes += tensor.nbytes(); });
  return bytes;
}

PackedBatch PackedBatch::to(at::Device device, bool non_blocking) const {
  PackedBatch moved = *this;
  for_each_tensor(
      moved, [&](at::Tensor& tensor) { tensor = tensor.to(tensor.options().device(device), non_blocking); });
  return moved;
}

PackedBatch PackedBatch::pinned() const {
  PackedBatch pinned = *this;
  for_each_tensor(pinned, [](at::Tensor& tensor) { tensor = tensor.pin_memory(); });
  return pinned;
}

void PackedBatch::used_on(c10::Stream stream) const {
  for_each_tensor(*this, [&](const at::Tensor& tensor) { tensor.record_stream(stream); });
}

}  // namespace higgs
