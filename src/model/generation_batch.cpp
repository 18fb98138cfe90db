#include "higgs/model/generation_batch.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {

// A clip on its way.
struct GenerationBatch::Sequence {
  std::size_t key, slot = 0;
  SamplingOptions options;
  SamplingStream stream;
  DelayRule delay;
  std::int64_t num_codebooks;
  std::int64_t max_columns;
  std::int64_t prompt_rows = 0;
  // Columns [n, C]. Before the clip's own stand those of the clips that the assistant has spoken before:
  // boson's RAS window reaches into them.
  std::vector<std::int64_t> history;
  std::int64_t num_earlier = 0;
  bool stopped = false;

  std::int64_t num_columns() const { return std::ssize(history) / num_codebooks - num_earlier; }
  std::int64_t at(std::int64_t codebook, std::int64_t column) const {
    return history[static_cast<std::size_t>((num_earlier + column) * num_codebooks + codebook)];
  }
  std::span<const std::int64_t> newest() const {
    return std::span(history).last(static_cast<std::size_t>(num_codebooks));
  }
  bool ended() const { return stopped || num_columns() >= max_columns; }
  // Frames [begin, end) with the delay undone: column 0 is BOS.
  Codes codes(std::int64_t begin, std::int64_t end, std::int64_t codebook_size) const;
  GeneratedClip finish(std::int64_t codebook_size) const;
};

Codes GenerationBatch::Sequence::codes(std::int64_t begin, std::int64_t end,
                                       std::int64_t codebook_size) const {
  Codes codes{num_codebooks, end - begin, {}};
  codes.values.reserve(static_cast<std::size_t>(num_codebooks * (end - begin)));
  for (std::int64_t k = 0; k < num_codebooks; ++k) {
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t code = std::clamp<std::int64_t>(at(k, j + 1 + k), 0, codebook_size - 1);
      codes.values.push_back(static_cast<std::int16_t>(code));
    }
  }
  return codes;
}

GeneratedClip GenerationBatch::Sequence::finish(std::int64_t codebook_size) const {
  GeneratedClip clip;
  clip.stopped = stopped;
  clip.columns = IdMatrix(num_codebooks, num_columns());
  for (std::int64_t k = 0; k < num_codebooks; ++k) {
    for (std::int64_t j = 0; j < num_columns(); ++j) clip.columns.at(k, j) = at(k, j);
  }
  // Without the BOS and the EOS column.
  clip.codes = codes(0, std::max<std::int64_t>(0, num_columns() - num_codebooks - 1), codebook_size);
  return clip;
}

// A batch of a frame of each clip, filled anew for every step.
struct GenerationBatch::Step {
  PackedBatch batch;

  Step(std::int64_t num_clips, std::int64_t num_codebooks) {
    batch.num_rows = num_clips;
    for (std::int64_t i = 0; i <= num_clips; ++i) batch.cu_seqlens.push_back(i);
    batch.text_cu_seqlens.assign(batch.cu_seqlens.size(), 0);
    batch.text_rows = at::empty({0}, at::kLong);
    batch.text_ids = at::empty({0}, at::kLong);
    batch.audio_rows = at::arange(num_clips, at::kLong);
    batch.audio_ids = at::empty({num_clips, num_codebooks}, at::kLong);
    batch.positions = at::empty({num_clips}, at::kLong);
    batch.kind = at::full({num_clips}, static_cast<int>(RowKind::kAudioOut), at::kByte);
    batch.is_audio = batch.kind.ne(0).unsqueeze(1);
    batch.audio_out_rows = batch.audio_rows;
    batch.index = {at::zeros({num_clips}, at::kInt), at::zeros({num_clips}, at::kInt)};
    for (at::Tensor* unused : {&batch.text_labels, &batch.audio_labels, &batch.text_target_rows,
                               &batch.text_targets, &batch.audio_target_rows, &batch.audio_targets}) {
      *unused = at::empty({0}, at::kLong);
    }
  }

  void set(std::int64_t row, const Sequence& sequence) {
    const auto frame = sequence.newest();
    std::copy(frame.begin(), frame.end(),
              batch.audio_ids.mutable_data_ptr<std::int64_t>() + row * std::ssize(frame));
    batch.positions.mutable_data_ptr<std::int64_t>()[row] = sequence.prompt_rows + sequence.num_columns() - 1;
  }
};

GenerationBatch::GenerationBatch(HiggsModel& model, const SpecialIds& ids, std::size_t size)
    : model_(model), ids_(ids), size_(size) {
  HIGGS_ASSERT(size > 0);
}
GenerationBatch::~GenerationBatch() = default;

bool GenerationBatch::full() const {
  return sequences_.size() == size_;
}
bool GenerationBatch::empty() const {
  return sequences_.empty();
}

// A slot that no clip has, with that much room; what it had is kept if it is enough.
std::size_t GenerationBatch::free_slot(std::int64_t capacity) {
  constexpr std::int64_t kRounding = 256;  // positions, so that clips of like length find enough
  std::size_t slot = 0;
  while (std::ranges::any_of(sequences_, [&](const auto& sequence) { return sequence->slot == slot; }))
    ++slot;
  if (slot == slots_.size()) slots_.emplace_back();
  std::vector<KvCache>& caches = slots_[slot];
  if (caches.empty() || caches.front().keys.size(0) < capacity) {
    caches.clear();
    caches = model_.make_caches((capacity + kRounding - 1) / kRounding * kRounding);
  }
  for (KvCache& cache : caches) cache.length = 0;
  return slot;
}

// Back to the slots, before clips come or go.
void GenerationBatch::store_caches() {
  const std::size_t n = sequences_.size();
  for (std::size_t i = 0; i < caches_.size(); ++i) slots_[sequences_[i % n]->slot][i / n] = caches_[i];
  caches_.clear();
}

void GenerationBatch::arrange() {
  caches_.clear();
  step_.reset();
  if (sequences_.empty()) return;
  for (std::size_t layer = 0; layer < slots_.front().size(); ++layer) {
    for (const auto& sequence : sequences_) caches_.push_back(slots_[sequence->slot][layer]);
  }
  step_ = std::make_unique<Step>(std::ssize(sequences_), ids_.num_codebooks);
}

void GenerationBatch::prefill(Sequence& sequence, const CollatedBatch& prompt, std::int64_t max_columns) {
  const PackedBatch batch = pack(prompt, {ids_.audio_in, ids_.audio_out, ids_.num_codebooks});
  sequence.prompt_rows = batch.num_rows;
  sequence.slot = free_slot(batch.num_rows + max_columns);
  ForwardOptions forward;
  forward.caches = &slots_[sequence.slot];
  model_.forward(batch.to(model_.device()), forward);  // its only use is the cache: column 0 is forced
}

void GenerationBatch::add(std::size_t key, const EncodedSample& prompt, const SamplingOptions& options,
                          std::int64_t max_frames) {
  HIGGS_ASSERT(!full());
  const at::NoGradGuard no_grad;
  const std::int64_t C = ids_.num_codebooks, max_columns = max_frames + C + 1;
  auto sequence = std::unique_ptr<Sequence>(new Sequence{key,
                                                         0,
                                                         options,
                                                         SamplingStream(options.seed),
                                                         DelayRule(C, ids_.stream_bos, ids_.stream_eos),
                                                         C,
                                                         max_columns,
                                                         0,
                                                         {},
                                                         0,
                                                         false});
  const EncodedSample* sample = &prompt;
  const CollatedBatch collated = collate({&sample, 1}, collate_options(ids_));
  store_caches();
  prefill(*sequence, collated, max_columns);
  const IdMatrix& earlier = collated.audio_out_ids;
  sequence->num_earlier = model_.config().layout == Layout::kBoson ? earlier.cols : 0;
  sequence->history.reserve(static_cast<std::size_t>((sequence->num_earlier + max_columns) * C));
  for (std::int64_t j = 0; j < sequence->num_earlier; ++j) {
    for (std::int64_t k = 0; k < C; ++k) sequence->history.push_back(earlier.at(k, j));
  }
  sequence->history.insert(sequence->history.end(), static_cast<std::size_t>(C), ids_.stream_bos);
  sequences_.push_back(std::move(sequence));
  arrange();
}

std::vector<GenerationBatch::Finished> GenerationBatch::step() {
  HIGGS_ASSERT(!empty());
  const at::NoGradGuard no_grad;
  const auto C = static_cast<std::size_t>(ids_.num_codebooks);
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    step_->set(static_cast<std::int64_t>(i), *sequences_[i]);
  }
  ForwardOptions forward;
  forward.caches = &caches_;
  const at::Tensor hidden = model_.forward(step_->batch.to(model_.device()), forward);
  const at::Tensor logits = model_.audio_logits(hidden).to(at::kFloat).to(at::kCPU).contiguous();
  const auto per_clip = static_cast<std::size_t>(logits.numel()) / sequences_.size();
  const RasRule ras{model_.config().layout == Layout::kBoson, ids_.stream_bos, ids_.stream_eos};
  bool any_ended = false;
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    Sequence& sequence = *sequences_[i];
    const std::span<const float> row(logits.const_data_ptr<float>() + i * per_clip, per_clip);
    const std::size_t before = sequence.history.size();
    sequence.history.resize(before + C);  // reserved
    const std::span<std::int64_t> all(sequence.history), column = all.last(C);
    sample_frame(row, all.first(before), sequence.options, ras, sequence.stream, scratch_, column);
    sequence.stopped = sequence.delay.apply(column);
    any_ended = any_ended || sequence.ended();
  }
  std::vector<Finished> finished;
  if (!any_ended) return finished;
  store_caches();
  for (const auto& sequence : sequences_) {
    if (sequence->ended()) finished.push_back({sequence->key, sequence->finish(ids_.codebook_size)});
  }
  std::erase_if(sequences_, [](const auto& sequence) { return sequence->ended(); });
  arrange();
  return finished;
}

const GenerationBatch::Sequence& GenerationBatch::find(std::size_t key) const {
  const auto found =
      std::ranges::find_if(sequences_, [&](const auto& sequence) { return sequence->key == key; });
  HIGGS_ASSERT(found != sequences_.end());
  return **found;
}

// The EOS column that ends the clip is one of those to come, or of the newest, whose frames aren't complete.
std::int64_t GenerationBatch::num_ready(std::size_t key) const {
  return std::max<std::int64_t>(0, find(key).num_columns() - ids_.num_codebooks);
}

Codes GenerationBatch::ready(std::size_t key, std::int64_t begin, std::int64_t end) const {
  HIGGS_ASSERT(0 <= begin && begin <= end && end <= num_ready(key));
  return find(key).codes(begin, end, ids_.codebook_size);
}

}  // namespace higgs
