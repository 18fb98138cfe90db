#include "higgs/train/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>

#include "higgs/data/step_plan.h"

namespace higgs {
namespace {

// Correct most-likely codes per codebook: int64 [C] on the CPU.
at::Tensor count_correct(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden) {
  const at::Tensor logits = model.audio_logits(hidden.index_select(0, batch.audio_target_rows));
  return logits.argmax(-1).eq(batch.audio_targets).sum(0).to(at::kCPU);
}

}  // namespace

EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss,
                     Collective& ranks) {
  const at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  EvalMetrics metrics;
  LossMeter meter(ids.num_codebooks, model.device());
  TargetCounts counts(ids.num_codebooks);
  at::Tensor correct = at::zeros({ids.num_codebooks}, at::kLong);
  const auto size = static_cast<std::int64_t>(dataset.size());
  const std::vector<std::int64_t> share =
      share_by_tokens(dataset.lengths(), ranks.world_size(), size)[static_cast<std::size_t>(ranks.rank())];
  for (std::size_t first = 0; first < share.size(); first += static_cast<std::size_t>(batch_size)) {
    ranks.progress();
    std::vector<const EncodedSample*> samples;
    for (std::size_t i = first; i < std::min(first + static_cast<std::size_t>(batch_size), share.size());
         ++i) {
      samples.push_back(&dataset.sample(static_cast<std::size_t>(share[i])));
    }
    const PackedBatch batch = make_batch(samples, ids).to(model.device());
    const at::Tensor hidden = model.forward(batch);
    meter.add(loss_sums(model, batch, hidden, text_loss));
    correct.add_(count_correct(model, batch, hidden));
    counts.add(batch);
  }
  counts.reduce(ranks);
  meter.reduce(ranks);
  ranks.sum(correct);
  metrics.loss = meter.values(counts, objective);
  metrics.tokens = counts.tokens;
  for (std::size_t k = 0; k < counts.audio.size(); ++k) {
    const double count = static_cast<double>(std::max<std::int64_t>(1, counts.audio[k]));
    metrics.accuracy.push_back(static_cast<double>(correct.const_data_ptr<std::int64_t>()[k]) / count);
  }
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

}  // namespace higgs
