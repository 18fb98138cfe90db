#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "higgs/base/error.h"
#include "higgs/data/pack.h"

namespace higgs {

PackedBatch slice_rows(const PackedBatch& batch, std::int64_t begin, std::int64_t end) {
  HIGGS_ASSERT(0 <= begin && begin <= end && end <= batch.num_rows);
  const auto within = [&](const at::Tensor& rows) {
    return rows.ge(begin).logical_and(rows.lt(end)).nonzero().squeeze(1);
  };
  PackedBatch out;
  out.num_rows = end - begin;
  out.cu_seqlens = {0, end - begin};
  const at::Tensor text = within(batch.text_rows), audio = within(batch.audio_rows);
  out.text_cu_seqlens = {0, text.numel()};
  out.text_rows = batch.text_rows.index_select(0, text) - begin;
  out.text_ids = batch.text_ids.index_select(0, text);
  if (batch.audio_features.defined()) {
    const at::Tensor heard = within(batch.text_rows.index_select(0, batch.feature_slots));
    if (heard.numel() > 0) {
      out.audio_features = batch.audio_features;
      out.features_valid = batch.features_valid;
      out.feature_slots = batch.feature_slots.index_select(0, heard) - text.slice(0, 0, 1);
      out.feature_sources = batch.feature_sources.index_select(0, heard);
    }
  }
  out.audio_rows = batch.audio_rows.index_select(0, audio) - begin;
  out.audio_ids = batch.audio_ids.index_select(0, audio);
  out.audio_out_rows = batch.audio_out_rows.index_select(0, within(batch.audio_out_rows)) - begin;
  out.positions = batch.positions.slice(0, begin, end);
  out.is_audio = batch.is_audio.slice(0, begin, end);
  out.kind = batch.kind.slice(0, begin, end);
  out.index = {batch.index.sample.slice(0, begin, end), batch.index.position.slice(0, begin, end)};
  for (at::Tensor* unused : {&out.text_labels, &out.audio_labels, &out.text_target_rows, &out.text_targets,
                             &out.audio_target_rows, &out.audio_targets}) {
    *unused = at::empty({0}, out.text_rows.options());
  }
  return out;
}

}  // namespace higgs
