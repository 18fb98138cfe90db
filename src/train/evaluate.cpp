#include "higgs/train/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

namespace higgs {
namespace {

// Correct most-likely codes per codebook: int64 [C] on the CPU.
at::Tensor count_correct(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden) {
  const at::Tensor logits = model.audio_logits(hidden.index_select(0, batch.audio_target_rows));
  return logits.argmax(-1).eq(batch.audio_targets).sum(0).to(at::kCPU);
}

}  // namespace

EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss) {
  const at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  EvalMetrics metrics;
  LossMeter meter;
  TargetCounts counts;
  at::Tensor correct;
  for (std::size_t first = 0; first < dataset.size(); first += static_cast<std::size_t>(batch_size)) {
    std::vector<const EncodedSample*> samples;
    const std::size_t end = std::min(first + static_cast<std::size_t>(batch_size), dataset.size());
    for (std::size_t i = first; i < end; ++i) samples.push_back(&dataset.sample(i));
    const PackedBatch batch = make_batch(samples, ids, 0).to(model.device());
    const at::Tensor hidden = model.forward(batch);
    meter.add(loss_sums(model, batch, hidden, text_loss));
    const at::Tensor hits = count_correct(model, batch, hidden);
    correct = correct.defined() ? correct.add(hits) : hits;
    counts.add(batch);
    metrics.tokens += batch.num_rows;
  }
  metrics.loss = meter.values(counts, objective);
  for (std::size_t k = 0; k < counts.audio.size(); ++k) {
    const double count = static_cast<double>(std::max<std::int64_t>(1, counts.audio[k]));
    metrics.accuracy.push_back(static_cast<double>(correct.const_data_ptr<std::int64_t>()[k]) / count);
  }
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

}  // namespace higgs
