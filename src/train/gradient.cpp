#include "higgs/train/gradient.h"

#include <limits>

#include "higgs/base/ending.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/kernels/philox.h"
#include "higgs/train/memory.h"
#include "higgs/train/replay.h"

namespace higgs {

GradientComputer::GradientComputer(HiggsModel& model, Adapter& adapter, const SampleSource& samples,
                                   const SpecialIds& ids, const GradientOptions& options, Collective& ranks)
    : model_(model),
      adapter_(adapter),
      samples_(samples),
      ids_(ids),
      options_(options),
      ranks_(ranks),
      most_rows_(std::numeric_limits<std::int64_t>::max()) {}

StepSums GradientComputer::compute(std::int64_t step, std::vector<LoadedBatch> batches) {
  TargetCounts counts(ids_.num_codebooks), replay_counts(ids_.num_codebooks);
  for (const LoadedBatch& batch : batches) (batch.micro.replay ? replay_counts : counts).add(batch.packed);
  counts.reduce(ranks_);
  if (samples_.replay() != nullptr) replay_counts.reduce(ranks_);
  for (std::size_t i = 0; i < batches.size();) {
    if (batches[i].packed.num_rows > most_rows_ && batches[i].packed.num_samples() > 1) {
      split(step, batches, i);
    } else {
      ++i;
    }
  }
  for (;;) {
    StepSums sums{counts, LossMeter(ids_.num_codebooks, model_.device()), replay_counts,
                  LossMeter(ids_.num_codebooks, model_.device())};
    bool fits = true;
    try {
      run_all(step, batches, sums);
    } catch (...) {
      if (!is_out_of_memory(std::current_exception())) throw;
      fits = false;  // what the failed pass holds is let go at the end of this block
    }
    if (fits) {
      ranks_.at(step + 1, "the reduction");
      ranks_.sum(adapter_.grads());
      sums.losses.reduce(ranks_);
      if (samples_.replay() != nullptr) sums.replay.reduce(ranks_);
      return sums;
    }
    most_rows_ = batches[at_work_].packed.num_rows - 1;
    split(step, batches, at_work_);
    release_cached_memory(model_.device());
  }
}

void GradientComputer::run_all(std::int64_t step, const std::vector<LoadedBatch>& batches, StepSums& sums) {
  ForwardOptions forward;
  forward.dropout_p = adapter_.config().lora_dropout;
  forward.dropout_key = mix_key(options_.seed, static_cast<std::uint64_t>(step));
  forward.only_targets = true;
  Weights weights{loss_weights(sums.counts, options_.objective, model_.device()), {}};
  if (samples_.replay() != nullptr) {
    ObjectiveOptions replay = options_.objective;
    replay.text_weight *= options_.replay_weight;
    replay.audio_weight *= options_.replay_weight;
    weights.replay = loss_weights(sums.replay_counts, replay, model_.device());
  }
  adapter_.grads().zero_();
  for (at_work_ = 0; at_work_ < batches.size(); ++at_work_) {
    ranks_.at(step + 1, "forward and backward");
    forward_backward(batches[at_work_], weights, forward, sums);
  }
}

void GradientComputer::forward_backward(const LoadedBatch& batch, const Weights& weights,
                                        const ForwardOptions& forward, StepSums& sums) {
  const PackedBatch& packed = batch.packed;
  BatchLoss loss;
  if (batch.micro.replay) {
    const BaseOutput base = base_output(model_, adapter_, packed);
    loss = replay_loss(model_, packed, model_.forward(packed, forward), base, weights.replay,
                       options_.text_loss);
  } else {
    loss = batch_loss(model_, packed, model_.forward(packed, forward), weights.own, options_.text_loss);
  }
  if (loss.total.requires_grad()) loss.total.backward();
  (batch.micro.replay ? sums.replay : sums.losses).add(loss.sums);
}

void GradientComputer::split(std::int64_t step, std::vector<LoadedBatch>& batches, std::size_t at) {
  const MicroBatch whole = batches[at].micro;
  const Dataset& dataset = samples_.of(whole);
  const std::int64_t rows = batches[at].packed.num_rows;
  const auto size = static_cast<std::int64_t>(whole.samples.size());
  const std::string where = "step " + std::to_string(step + 1) + ": out of memory with ";
  if (size == 1) {
    throw RunError(where + "one sample of " + std::to_string(rows) + " tokens (" +
                   dataset.where(whole.samples[0]) + "); leave out samples as long as that: --max_tokens " +
                   std::to_string(rows - 1) + " --on_too_long skip");
  }
  if (num_splits_++ == 0) {
    log::warn(where + std::to_string(rows) + " tokens at once (" + std::to_string(size) +
              " samples); such micro-batches are split from now on, which changes nothing but the time; "
              "a smaller --batch_size or --tokens_per_batch with more --grad_accum spares it");
  }
  std::vector<std::int64_t> lengths;
  for (const std::size_t sample : whole.samples) lengths.push_back(dataset.length(sample));
  std::vector<LoadedBatch> parts;
  batches[at].packed = {};  // its memory, before the parts take theirs
  for (const std::vector<std::int64_t>& share : share_by_tokens(lengths, 2, size - 1)) {
    LoadedBatch& part = parts.emplace_back();
    part.micro.replay = whole.replay;
    for (const std::int64_t i : share) {
      part.micro.samples.push_back(whole.samples[static_cast<std::size_t>(i)]);
      part.micro.places.push_back(whole.places[static_cast<std::size_t>(i)]);
    }
    part.packed = make_batch(dataset, part.micro, ids_).to(model_.device());
  }
  batches[at] = std::move(parts[0]);
  batches.insert(batches.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(parts[1]));
}

}  // namespace higgs
