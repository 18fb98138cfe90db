#include "higgs/train/evaluate.h"

#include <ATen/core/grad_mode.h>

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

// Where samples are counted: all together, and for who wants each.
struct Count {
  HiggsModel& model;
  const Dataset& dataset;
  const SpecialIds& ids;
  bool text_loss;
  const SampleSink& on_sample;
  Tally total;

  void add(std::span<const std::int64_t> samples) {
    ForwardOptions forward;
    forward.only_targets = true;
    const std::vector<std::size_t> which(samples.begin(), samples.end());
    const PackedBatch batch = make_batch(dataset, {which, {}}, ids);
    std::vector<Tally> tallies;
    {
      const PackedBatch there = batch.to(model.device());
      const BatchScores scores = batch_scores(model, there, model.forward(there, forward), text_loss);
      tallies = tallies_of(batch, scores);  // waits for the device: memory that runs out shows here
    }
    for (std::size_t i = 0; i < which.size(); ++i) {
      total.add(tallies[i]);
      if (on_sample) on_sample(which[i], tallies[i]);
    }
  }
};

// Adds these samples, in halves where they don't fit into memory together.
void add_samples(Count& count, std::span<const std::int64_t> samples) {
  bool fits = true;
  try {
    count.add(samples);
  } catch (...) {
    if (!is_out_of_memory(std::current_exception())) throw;
    fits = false;  // what the failed pass holds is let go at the end of this block
  }
  if (fits) return;
  if (samples.size() == 1) {
    throw RunError("out of memory with one held-out sample (" +
                   count.dataset.where(static_cast<std::size_t>(samples[0])) +
                   "); leave out samples as long as that: --max_tokens, --on_too_long skip");
  }
  release_cached_memory(count.model.device());
  const std::size_t half = samples.size() / 2;
  add_samples(count, samples.first(half));
  add_samples(count, samples.subspan(half));
}

}  // namespace

EvalMetrics evaluate(HiggsModel& model, const Dataset& dataset, const SpecialIds& ids,
                     std::int64_t batch_size, const ObjectiveOptions& objective, bool text_loss,
                     Collective& ranks, const SampleSink& on_sample) {
  const at::NoGradGuard no_grad;
  const auto start = std::chrono::steady_clock::now();
  Count count{model, dataset, ids, text_loss, on_sample, Tally(ids.num_codebooks)};
  const auto size = static_cast<std::int64_t>(dataset.size());
  const std::vector<std::int64_t> share = share_by_tokens(dataset.lengths().to_vector(), ranks.world_size(),
                                                          size)[static_cast<std::size_t>(ranks.rank())];
  const auto step = static_cast<std::size_t>(batch_size);
  for (std::size_t first = 0; first < share.size(); first += step) {
    ranks.progress();
    const std::span<const std::int64_t> rest = std::span(share).subspan(first);
    add_samples(count, rest.first(std::min(step, rest.size())));
  }
  count.total.reduce(ranks);
  EvalMetrics metrics = count.total.metrics(objective);
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return metrics;
}

}  // namespace higgs
