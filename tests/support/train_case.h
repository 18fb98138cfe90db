// What the tests of training share: the samples of goldens hf/data and e2e, gradients of a list of batches.
#pragma once

#include <optional>
#include <vector>

#include "higgs/data/dataset.h"
#include "higgs/model/adapter.h"
#include "higgs/model/special_ids.h"
#include "higgs/train/objective.h"
#include "support/golden_batch.h"
#include "support/paths.h"

namespace higgs::test {

// The six tokenised samples that transformers + peft were trained on.
inline std::vector<EncodedSample> hf_samples() {
  const SafetensorsFile file(golden("hf/data/samples.safetensors"));
  std::vector<EncodedSample> samples;
  for (int i = 0; i < 6; ++i) {
    const std::string name = "0000" + std::to_string(i) + ".";
    EncodedSample sample;
    sample.input_ids = file.integers(name + "input_ids");
    sample.label_ids = file.integers(name + "labels");
    const IdMatrix all = matrix(file, name + "codes");
    std::int64_t begin = 0;
    for (const std::int64_t length : file.integers(name + "code_lengths")) {
      Codes clip{all.rows, length, {}};
      for (std::int64_t k = 0; k < all.rows; ++k) {
        for (std::int64_t j = 0; j < length; ++j) {
          clip.values.push_back(static_cast<std::int16_t>(all.at(k, begin + j)));
        }
      }
      sample.codes.push_back(std::move(clip));
      begin += length;
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

inline PackedBatch batch_of(const std::vector<EncodedSample>& samples, const std::vector<std::size_t>& which,
                            const SpecialIds& ids, std::int64_t first_sample = 0) {
  std::vector<const EncodedSample*> picked;
  std::vector<std::int64_t> places;
  for (const std::size_t i : which) {
    picked.push_back(&samples[i]);
    places.push_back(first_sample + static_cast<std::int64_t>(places.size()));
  }
  return make_batch(picked, ids, places);
}

// Adds the gradient of `scale` * the batch's own loss, normalised over `counts`, and returns the loss.
inline double backward(HiggsModel& model, const PackedBatch& batch, const TargetCounts& counts,
                       const ObjectiveOptions& objective = {}, const ForwardOptions& forward = {},
                       double scale = 1.0) {
  const LossSums sums = loss_sums(model, batch, model.forward(batch, forward), true);
  const at::Tensor loss = total_loss(sums, counts, objective);
  (loss * scale).backward();
  return loss.item<double>();
}

inline TargetCounts counts_of(const PackedBatch& batch) {
  TargetCounts counts(8);
  counts.add(batch);
  return counts;
}

}  // namespace higgs::test
