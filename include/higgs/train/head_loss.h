// Cross-entropy over a head's logits, some rows at a time: the logits of a vocabulary are never held
// together, and their gradient by the hidden states, and by the head where that learns, is made in the same
// pass.
#pragma once

#include <ATen/core/Tensor.h>

namespace higgs {

class LoraLinear;

inline constexpr std::int64_t kLogitsAtATime = std::int64_t{16} << 20;  // 64 MiB in float32; at least a row's

struct HeadLoss {
  // Scalar: sum over rows and groups of weights[g] * loss; differentiable in hidden, and in the head's weight
  // where that learns (LoraLinear::trained()).
  at::Tensor total;
  at::Tensor sums;  // float32 [G]: sum of losses
};

// hidden: [n, D]; the head gives G times K logits a row; targets: int64 [n, G], negative where there is none;
// weights: float32 [G] on the device of `hidden`. `composed`: of torch's operators, all logits at once;
// always so when an adapter stands beside the head.
HeadLoss head_loss(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets,
                   const at::Tensor& weights, bool composed);

inline constexpr std::int64_t kTop = 10;

// Each target by itself, without gradient: what evaluation counts. No call waits for the device.
struct HeadScores {
  at::Tensor losses;  // float32 [n, G]; 0 without target
  at::Tensor top1;    // bool [n, G]: the target is the first of the largest logits
  at::Tensor top10;   // bool [n, G]: fewer than kTop logits are greater than the target's
};

// As head_loss(); the logits are made in parts on either path.
HeadScores head_scores(const at::Tensor& hidden, LoraLinear& head, const at::Tensor& targets, bool composed);

}  // namespace higgs
