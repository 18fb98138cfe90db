// Replay of the base's behaviour: at the supervised positions of some samples the adapted model is held to
// what the base says there, whatever the labels are. The loss is the divergence KL(base || adapted) = sum
// over ids of p_base (log p_base - log p_adapted): distillation from the model before training, as "Learning
// without Forgetting" (Li & Hoiem, 2016) has it at temperature 1; its gradient by the logits is p_adapted -
// p_base. The base is the same model with its adapter off: there is no second copy of weights.
#pragma once

#include <ATen/core/Tensor.h>

#include "higgs/model/adapter.h"
#include "higgs/train/objective.h"

namespace higgs {

// What the base computes for a batch.
struct BaseOutput {
  at::Tensor hidden;                 // [L, D] at the target rows
  at::Tensor audio_head, text_head;  // its heads' weights; the second undefined where there is none
};
// Without gradient and without dropout.
BaseOutput base_output(HiggsModel& model, Adapter& adapter, const PackedBatch& batch);

// As batch_loss(), with the divergence from the base instead of cross-entropies.
BatchLoss replay_loss(const HiggsModel& model, const PackedBatch& batch, const at::Tensor& hidden,
                      const BaseOutput& base, const LossWeights& weights, bool with_text);

// As head_loss(): divergences of a head's G distributions over K ids a row, nats, summed over the rows with a
// target (which one doesn't matter). base_hidden: [n, D]; base_weight: [G * K, D]. Only some rows' logits are
// held at a time but where `composed`. The head has no adapter of its own.
HeadLoss head_divergence(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& base_hidden,
                         const at::Tensor& base_weight, const at::Tensor& targets, const at::Tensor& weights,
                         bool composed);

}  // namespace higgs
