// The decoder's operations that only move memory, one pass each, forward and backward by hand. On the CPU and
// on CUDA, in float32 or bfloat16 (computed in float32, rounded where the composition of torch's operators
// rounds). N rows, D features, n of the rows. No autograd: model/fused_layer.cpp puts them together.
#pragma once

#include <ATen/core/Tensor.h>

namespace higgs {

// Which rows of an activation [N, D] an operation takes: int64 [n], each at most once; undefined: all.
using Rows = at::Tensor;

// The weight of each row's norm: audio_weight [D] where is_audio [N, 1] says so; undefined: weight [D] for
// all.
struct NormWeights {
  at::Tensor weight, audio_weight, is_audio;
  double eps = 1e-5;
};

// y = weight * x / sqrt(mean(x^2) + eps) (Zhang & Sennrich 2019).
struct Normed {
  at::Tensor y;     // [n, D]
  at::Tensor rstd;  // float32 [n]: 1 / sqrt(...)
};
Normed rms_norm(const at::Tensor& x, const Rows& rows, const NormWeights& weights);
// y again, from x and rstd: cheaper than keeping it for the backward pass.
at::Tensor rms_norm_again(const at::Tensor& x, const Rows& rows, const NormWeights& weights,
                          const at::Tensor& rstd);
// Adds the gradient by x to `d_x` [N, D]. d_y: [n, D].
void rms_norm_backward(const at::Tensor& d_y, const at::Tensor& x, const Rows& rows,
                       const NormWeights& weights, const at::Tensor& rstd, at::Tensor& d_x);

// Rotates x [N, heads, E] in place: x cos + rotate_half(x) sin (Su et al. 2021); inverse: back, which is also
// what becomes of a gradient. cos, sin: [N, E], their halves equal.
void rotate_(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse);

// Attention of one position to all before it and itself: q [1, H, E], keys and values [n, G, E] -> [1, H, E].
// CPU only.
at::Tensor attend_one(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values);

// silu(gate) * up, all of one shape (Shazeer 2020).
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
struct SwigluGradients {
  at::Tensor gate, up;
};
SwigluGradients swiglu_backward(const at::Tensor& d_out, const at::Tensor& gate, const at::Tensor& up);

// x[rows] += y, in place. y: [n, D].
void add_rows_(at::Tensor& x, const Rows& rows, const at::Tensor& y);

// Cross-entropy of each row in one go with its gradient. logits: [n, K]; targets: int64 [n], negative where
// there is none. With `weights` (float32 [G]) the logits are overwritten by the gradient of the sum of
// weights[i % G] * loss of row i; undefined: they stay.
struct RowLosses {
  at::Tensor losses;   // float32 [n]: -log softmax(logits)[target], 0 without target
  at::Tensor correct;  // int32 [n]: 1 where the target is the first of the largest logits
};
RowLosses cross_entropy_(at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights);

}  // namespace higgs
