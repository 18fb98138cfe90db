#include "higgs/train/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "higgs/base/ending.h"
#include "higgs/base/error.h"
#include "higgs/data/batch_loader.h"
#include "higgs/data/step_plan.h"
#include "higgs/train/memory.h"

namespace higgs {
namespace {

// What is added up over batches.
struct Sums {
  LossMeter losses;
  TargetCounts counts;
  at::Tensor correct;  // int64 [C] on the CPU: most likely codes that are right
};

void add(Sums& sums, HiggsModel& model, const PackedBatch& batch, bool text_loss) {
  ForwardOptions forward;
  forward.only_targets = true;
  const BatchLoss loss = batch_loss(model, batch, model.forward(batch, forward),
                                    loss_weights(sums.counts, {}, model.device()), text_loss);
  const at::Tensor correct =
      loss.correct.to(at::kCPU);  // waits for the device: memory that runs out shows here
  sums.losses.add(loss.sums);
  sums.counts.add(batch);
  sums.correct.add_(correct);
}

// Adds these samples, in halves where they don't fit into memory together.
void add_samples(Sums& sums, HiggsModel& model, const Dataset& dataset, std::span<const std::int64_t> samples,
                 const SpecialIds& ids, bool text_loss) {
  bool fits = true;
  try {
    const std::vector<std::size_t> batch(samples.begin(), samples.end());
    add(sums, model, make_batch(dataset, {batch, {}}, ids).to(model.device()), text_loss);
  } catch (...) {
    if (!is_out_of_memory(std::current_exception())) throw;
    fits = false;  // what the failed pass holds is let go at the end of this block
  }
  if (fits) return;
  if (samples.size() == 1) {
    throw RunError("out of memory with one held-out sample (" +
                   dataset.where(static_cast<std::size_t>(samples[0])) +
                   "); leave out samples as long as that: --max_tokens, --on_too_long skip");
  }
  release_cached_memory(model.device());
  const std::size_t half = samples.size() / 2;
  add_samples(sums, model, dataset, samples.first(half), ids, text_loss);
  add_samples(sums, model, dataset, samples.subspan(half), ids, text_loss);
}

}  // namespace

EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss,
                     Collective& ranks) {
  const at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  EvalMetrics metrics;
  Sums sums{LossMeter(ids.num_codebooks, model.device()), TargetCounts(ids.num_codebooks),
            at::zeros({ids.num_codebooks}, at::kLong)};
  const auto size = static_cast<std::int64_t>(dataset.size());
  const std::vector<std::int64_t> share = share_by_tokens(dataset.lengths().to_vector(), ranks.world_size(),
                                                          size)[static_cast<std::size_t>(ranks.rank())];
  const auto step = static_cast<std::size_t>(batch_size);
  for (std::size_t first = 0; first < share.size(); first += step) {
    ranks.progress();
    const std::span<const std::int64_t> rest = std::span(share).subspan(first);
    add_samples(sums, model, dataset, rest.first(std::min(step, rest.size())), ids, text_loss);
  }
  const TargetCounts& counts = sums.counts;
  sums.counts.reduce(ranks);
  sums.losses.reduce(ranks);
  ranks.sum(sums.correct);
  metrics.loss = sums.losses.values(counts, objective);
  metrics.tokens = counts.tokens;
  for (std::size_t k = 0; k < counts.audio.size(); ++k) {
    const double count = static_cast<double>(std::max<std::int64_t>(1, counts.audio[k]));
    metrics.accuracy.push_back(static_cast<double>(sums.correct.const_data_ptr<std::int64_t>()[k]) / count);
  }
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

}  // namespace higgs
