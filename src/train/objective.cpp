#include "higgs/train/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "higgs/base/error.h"
#include "higgs/model/lora_linear.h"

namespace higgs {
namespace {

// 1 / count, or 0 where nothing is supervised: 0 / 0 must not become NaN.
double inverse(std::int64_t count) {
  return count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
}

// What codebook `k` counts for in the audio loss.
double codebook_factor(std::size_t k, std::size_t num_codebooks, const ObjectiveOptions& options) {
  const std::vector<double>& weights = options.codebook_weights;
  if (weights.empty()) return options.sum_codebooks ? 1.0 : 1.0 / static_cast<double>(num_codebooks);
  HIGGS_ASSERT(weights.size() == num_codebooks);
  return options.sum_codebooks ? weights[k]
                               : weights[k] / std::accumulate(weights.begin(), weights.end(), 0.0);
}

}  // namespace

void TargetCounts::add(const PackedBatch& batch) {
  text += batch.num_text_targets;
  for (std::size_t k = 0; k < audio.size(); ++k) audio[k] += batch.num_audio_targets[k];
  tokens += batch.num_rows;
}

void TargetCounts::reduce(Collective& ranks) {
  if (ranks.world_size() == 1) return;
  std::vector<std::int64_t> all = {text, tokens};
  all.insert(all.end(), audio.begin(), audio.end());
  at::Tensor tensor = at::tensor(all);
  ranks.sum(tensor);
  const auto* values = tensor.const_data_ptr<std::int64_t>();
  text = values[0];
  tokens = values[1];
  std::copy_n(values + 2, audio.size(), audio.begin());
}

LossSums loss_sums(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                   bool with_text) {
  const auto options = at::TensorOptions(at::kFloat).device(hidden.device());
  const std::int64_t C = model.config().num_codebooks;
  LossSums sums{at::zeros({}, options), at::zeros({C}, options)};
  if (with_text && batch.num_text_targets > 0) {
    HIGGS_ASSERT(model.has_text_head());
    const at::Tensor logits =
        model.text_logits(hidden.index_select(0, batch.text_target_rows)).to(at::kFloat);
    sums.text = at::cross_entropy_loss(logits, batch.text_targets, {}, at::Reduction::Sum);
  }
  if (batch.audio_target_rows.numel() > 0) {
    const at::Tensor logits =
        model.audio_logits(hidden.index_select(0, batch.audio_target_rows)).to(at::kFloat);
    const at::Tensor each = at::cross_entropy_loss(logits.flatten(0, 1), batch.audio_targets.flatten(), {},
                                                   at::Reduction::None, kIgnore);
    sums.audio = each.view({-1, C}).sum(0);
  }
  return sums;
}

LossWeights loss_weights(const TargetCounts& counts, const ObjectiveOptions& options, at::Device device) {
  std::vector<float> factors = {static_cast<float>(options.text_weight * inverse(counts.text))};
  for (std::size_t k = 0; k < counts.audio.size(); ++k) {
    const double factor = codebook_factor(k, counts.audio.size(), options);
    factors.push_back(static_cast<float>(options.audio_weight * factor * inverse(counts.audio[k])));
  }
  at::Tensor weights = at::tensor(factors);
  // From pinned memory, or the copy would wait for all that the device has to do.
  if (device.is_cuda()) weights = weights.pin_memory().to(device, /*non_blocking=*/true);
  return {weights.narrow(0, 0, 1), weights.narrow(0, 1, weights.numel() - 1)};
}

at::Tensor total_loss(const LossSums& sums, const TargetCounts& counts, const ObjectiveOptions& options) {
  const LossWeights weights = loss_weights(counts, options, sums.audio.device());
  return sums.text * weights.text.squeeze(0) + sums.audio.dot(weights.audio);
}

BatchLoss batch_loss(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                     const LossWeights& weights, bool with_text) {
  const auto heads = model.heads();  // audio, then text where there is one
  HeadLoss audio = head_loss(hidden.index_select(0, batch.audio_target_slots), *heads[0], batch.audio_targets,
                             weights.audio, model.reference_path());
  BatchLoss loss{audio.total, {at::zeros({}, audio.sums.options()), audio.sums}};
  if (with_text && batch.num_text_targets > 0) {
    HIGGS_ASSERT(heads.size() == 2);
    const HeadLoss text = head_loss(hidden.index_select(0, batch.text_target_slots), *heads[1],
                                    batch.text_targets.unsqueeze(1), weights.text, model.reference_path());
    loss.total = loss.total + text.total;
    loss.sums.text = text.sums.squeeze(0);
  }
  return loss;
}

BatchScores batch_scores(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                         bool with_text) {
  const auto heads = model.heads();
  BatchScores scores;
  scores.audio = head_scores(hidden.index_select(0, batch.audio_target_slots), *heads[0], batch.audio_targets,
                             model.reference_path());
  if (with_text && batch.num_text_targets > 0) {
    HIGGS_ASSERT(heads.size() == 2);
    scores.text = head_scores(hidden.index_select(0, batch.text_target_slots), *heads[1],
                              batch.text_targets.unsqueeze(1), model.reference_path())
                      .losses.squeeze(1);
  }
  return scores;
}

LossMeter::LossMeter(std::int64_t num_codebooks, at::Device device)
    : sums_(at::zeros({1 + num_codebooks}, at::TensorOptions(at::kDouble).device(device))) {}

void LossMeter::add(const LossSums& sums) {
  sums_.add_(at::cat({sums.text.detach().view({1}), sums.audio.detach()}).to(at::kDouble));
}

void LossMeter::reduce(Collective& ranks) {
  ranks.sum(sums_);
}

LossValues loss_values(const double* sums, const TargetCounts& counts, const ObjectiveOptions& options) {
  LossValues values;
  values.text = sums[0] * inverse(counts.text);
  for (std::size_t k = 0; k < counts.audio.size(); ++k) {
    values.codebooks.push_back(sums[1 + k] * inverse(counts.audio[k]));
    values.audio += codebook_factor(k, counts.audio.size(), options) * values.codebooks.back();
  }
  values.total = options.text_weight * values.text + options.audio_weight * values.audio;
  return values;
}

LossValues LossMeter::values(const TargetCounts& counts, const ObjectiveOptions& options) const {
  const at::Tensor host = sums_.to(at::kCPU);
  return loss_values(host.const_data_ptr<double>(), counts, options);
}

}  // namespace higgs
