#include "higgs/model/generate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {
namespace {

using Column = std::vector<std::int64_t>;

// A batch of one frame at `position`.
PackedBatch frame_batch(const Column& frame, std::int64_t position) {
  PackedBatch batch;
  batch.num_rows = 1;
  batch.cu_seqlens = {0, 1};
  batch.text_rows = at::empty({0}, at::kLong);
  batch.text_ids = at::empty({0}, at::kLong);
  batch.audio_rows = at::tensor(std::vector<std::int64_t>{0});
  batch.audio_ids = at::tensor(frame).unsqueeze(0);
  batch.positions = at::tensor(std::vector<std::int64_t>{position});
  batch.kind = at::full({1}, static_cast<int>(RowKind::kAudioOut), at::kByte);
  batch.is_audio = batch.kind.ne(0).unsqueeze(1);
  batch.audio_out_rows = batch.audio_rows;
  batch.index = {at::full({1}, 0, at::kInt), batch.positions.to(at::kInt)};
  for (at::Tensor* unused : {&batch.text_labels, &batch.audio_labels, &batch.text_target_rows,
                             &batch.text_targets, &batch.audio_target_rows, &batch.audio_targets}) {
    *unused = at::empty({0}, at::kLong);
  }
  return batch;
}

// Columns of the clips that the assistant has spoken before: boson's RAS window reaches into them.
std::vector<Column> earlier_columns(const CollatedBatch& batch) {
  std::vector<Column> columns;
  for (std::int64_t j = 0; j < batch.audio_out_ids.cols; ++j) {
    Column column;
    for (std::int64_t k = 0; k < batch.audio_out_ids.rows; ++k)
      column.push_back(batch.audio_out_ids.at(k, j));
    columns.push_back(std::move(column));
  }
  return columns;
}

GeneratedClip finish(const std::vector<Column>& columns, bool stopped, const SpecialIds& ids) {
  GeneratedClip clip;
  clip.stopped = stopped;
  clip.columns = IdMatrix(ids.num_codebooks, static_cast<std::int64_t>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) {
    for (std::int64_t k = 0; k < ids.num_codebooks; ++k) {
      clip.columns.at(k, static_cast<std::int64_t>(j)) = columns[j][static_cast<std::size_t>(k)];
    }
  }
  clip.codes.num_codebooks = ids.num_codebooks;
  if (clip.columns.cols < ids.num_codebooks + 2) return clip;
  const IdMatrix straight = revert_delay_pattern(clip.columns);
  clip.codes.num_frames = straight.cols - 2;  // without the BOS and the EOS column
  for (std::int64_t k = 0; k < straight.rows; ++k) {
    for (std::int64_t j = 1; j + 1 < straight.cols; ++j) {
      const std::int64_t code = std::clamp<std::int64_t>(straight.at(k, j), 0, ids.codebook_size - 1);
      clip.codes.values.push_back(static_cast<std::int16_t>(code));
    }
  }
  return clip;
}

}  // namespace

DelayRule::DelayRule(std::int64_t num_codebooks, std::int64_t bos, std::int64_t eos)
    : num_codebooks_(num_codebooks), bos_(bos), eos_(eos) {}

bool DelayRule::apply(std::vector<std::int64_t>& column) {
  HIGGS_ASSERT(static_cast<std::int64_t>(column.size()) == num_codebooks_);
  if (started_ + 1 < num_codebooks_) {
    std::fill(column.begin() + started_ + 1, column.end(), bos_);
    ++started_;
  }
  if (remaining_ >= 0) {
    std::fill(column.begin(), column.begin() + (num_codebooks_ - remaining_), eos_);
    --remaining_;
  } else {
    const auto first = std::find(column.begin(), column.end(), eos_);
    if (first != column.end()) {
      std::fill(column.begin(), first, eos_);
      remaining_ = num_codebooks_ - (first - column.begin()) - 1;
    }
  }
  return remaining_ == 0;
}

GeneratedClip generate(HiggsModel& model, const EncodedSample& prompt, const SpecialIds& ids,
                       const SamplingOptions& options, std::int64_t max_frames) {
  const at::NoGradGuard no_grad;
  const EncodedSample* sample = &prompt;
  const CollatedBatch collated = collate({&sample, 1}, collate_options(ids));
  const PackedBatch prefill = pack(collated, {ids.audio_in, ids.audio_out, ids.num_codebooks});
  const std::int64_t max_columns = max_frames + ids.num_codebooks + 1;
  std::vector<KvCache> caches = model.make_caches(prefill.num_rows + max_columns);
  ForwardOptions forward;
  forward.caches = &caches;
  model.forward(prefill.to(model.device()), forward);  // its only use is the cache: column 0 is forced

  const bool boson = model.config().layout == Layout::kBoson;
  const RasRule ras{boson, ids.stream_bos, ids.stream_eos};
  std::vector<Column> history;
  if (boson) history = earlier_columns(collated);
  std::vector<Column> columns = {Column(static_cast<std::size_t>(ids.num_codebooks), ids.stream_bos)};
  history.push_back(columns.back());
  DelayRule delay(ids.num_codebooks, ids.stream_bos, ids.stream_eos);
  SamplingStream stream(options.seed);
  bool stopped = false;
  while (!stopped && static_cast<std::int64_t>(columns.size()) < max_columns) {
    const std::int64_t position = prefill.num_rows + static_cast<std::int64_t>(columns.size()) - 1;
    const at::Tensor hidden =
        model.forward(frame_batch(columns.back(), position).to(model.device()), forward);
    const at::Tensor logits = model.audio_logits(hidden).to(at::kFloat).to(at::kCPU).contiguous();
    const std::span<const float> row(logits.const_data_ptr<float>(),
                                     static_cast<std::size_t>(logits.numel()));
    Column column = sample_frame(row, ids.num_codebooks, history, options, ras, stream);
    stopped = delay.apply(column);
    history.push_back(column);
    columns.push_back(std::move(column));
  }
  return finish(columns, stopped, ids);
}

}  // namespace higgs
