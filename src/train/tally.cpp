#include "higgs/train/tally.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {
namespace {

template <typename T>
void add_to(std::vector<T>& sums, const std::vector<T>& values) {
  for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += values[k];
}

std::vector<double> shares(const std::vector<std::int64_t>& hits, const std::vector<std::int64_t>& labels) {
  std::vector<double> all;
  for (std::size_t k = 0; k < hits.size(); ++k) {
    all.push_back(static_cast<double>(hits[k]) / static_cast<double>(std::max<std::int64_t>(1, labels[k])));
  }
  return all;
}

// The sample that holds a row.
std::size_t sample_of(const PackedBatch& batch, std::int64_t row) {
  const auto& starts = batch.cu_seqlens;
  return static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), row) - starts.begin() - 1);
}

}  // namespace

Tally::Tally(std::int64_t num_codebooks)
    : losses(static_cast<std::size_t>(num_codebooks), 0.0),
      audio_labels(losses.size(), 0),
      top1(losses.size(), 0),
      top10(losses.size(), 0) {}

void Tally::add(const Tally& other) {
  samples += other.samples;
  tokens += other.tokens;
  text += other.text;
  text_labels += other.text_labels;
  add_to(losses, other.losses);
  add_to(audio_labels, other.audio_labels);
  add_to(top1, other.top1);
  add_to(top10, other.top10);
}

void Tally::reduce(Collective& ranks) {
  if (ranks.world_size() == 1) return;
  std::vector<double> sums = losses;
  sums.push_back(text);
  std::vector<std::int64_t> counts = {samples, tokens, text_labels};
  for (const auto* part : {&audio_labels, &top1, &top10})
    counts.insert(counts.end(), part->begin(), part->end());
  at::Tensor sum_tensor = at::tensor(sums), count_tensor = at::tensor(counts);
  ranks.sum(sum_tensor);
  ranks.sum(count_tensor);
  const auto* sum = sum_tensor.const_data_ptr<double>();
  std::copy_n(sum, losses.size(), losses.begin());
  text = sum[losses.size()];
  const auto* count = count_tensor.const_data_ptr<std::int64_t>();
  for (std::int64_t* one : {&samples, &tokens, &text_labels}) *one = *count++;
  for (auto* part : {&audio_labels, &top1, &top10}) {
    std::copy_n(count, part->size(), part->begin());
    count += part->size();
  }
}

EvalMetrics Tally::metrics(const ObjectiveOptions& objective) const {
  TargetCounts counts(static_cast<std::int64_t>(losses.size()));
  counts.text = text_labels;
  counts.audio = audio_labels;
  std::vector<double> sums = {text};
  sums.insert(sums.end(), losses.begin(), losses.end());
  EvalMetrics out;
  out.loss = loss_values(sums.data(), counts, objective);
  out.accuracy = shares(top1, audio_labels);
  out.top10 = shares(top10, audio_labels);
  out.tokens = tokens;
  return out;
}

std::vector<Tally> tallies_of(const PackedBatch& batch, const BatchScores& scores) {
  const auto C = batch.num_audio_targets.size();
  std::vector<Tally> tallies(static_cast<std::size_t>(batch.num_samples()),
                             Tally(static_cast<std::int64_t>(C)));
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    tallies[i].samples = 1;
    tallies[i].tokens = batch.cu_seqlens[i + 1] - batch.cu_seqlens[i];
  }
  if (scores.text.defined()) {
    const at::Tensor losses = scores.text.to(at::kCPU).contiguous();
    HIGGS_ASSERT(losses.numel() == batch.num_text_targets);
    for (std::int64_t i = 0; i < losses.numel(); ++i) {
      Tally& tally = tallies[sample_of(batch, batch.text_target_rows.const_data_ptr<std::int64_t>()[i])];
      tally.text += static_cast<double>(losses.const_data_ptr<float>()[i]);
      ++tally.text_labels;
    }
  }
  const at::Tensor losses = scores.audio.losses.to(at::kCPU).contiguous();
  const at::Tensor top1 = scores.audio.top1.to(at::kCPU).contiguous();
  const at::Tensor top10 = scores.audio.top10.to(at::kCPU).contiguous();
  const at::Tensor targets = batch.audio_targets.contiguous();
  HIGGS_ASSERT(losses.sizes() == targets.sizes());
  for (std::int64_t row = 0; row < targets.size(0); ++row) {
    Tally& tally = tallies[sample_of(batch, batch.audio_target_rows.const_data_ptr<std::int64_t>()[row])];
    for (std::size_t k = 0; k < C; ++k) {
      const auto at = row * static_cast<std::int64_t>(C) + static_cast<std::int64_t>(k);
      if (targets.const_data_ptr<std::int64_t>()[at] < 0) continue;
      ++tally.audio_labels[k];
      tally.losses[k] += static_cast<double>(losses.const_data_ptr<float>()[at]);
      tally.top1[k] += top1.const_data_ptr<bool>()[at];
      tally.top10[k] += top10.const_data_ptr<bool>()[at];
    }
  }
  return tallies;
}

}  // namespace higgs
