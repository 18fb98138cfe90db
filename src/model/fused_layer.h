// The two halves of a decoder layer, each one autograd node with its backward pass by hand. They compute what
// model/layers.h composes of torch's operators and keep less for the backward pass: per row of a layer the
// two residuals, q, k, v and the attention's output, gate and up, and A x of each adapter; norms, activations
// and dropout masks are made again. N rows, D model width.
#pragma once

#include <span>
#include <vector>

#include "fused_linear.h"
#include "higgs/kernels/layer_ops.h"
#include "higgs/model/kv_cache.h"
#include "higgs/model/rope.h"
#include "segment_attention.h"

namespace higgs {

// h + o_proj(attention(norm(h)))
struct FusedAttention {
  FusedLinears qkv, o;
  NormWeights norm;
  std::int64_t num_heads, num_kv_heads, head_dim;
  RopeTable rope;
  Segments segments;
  KeptDropout dropout;
  std::span<KvCache> caches;  // of each segment, whose rows follow the cached ones; empty: none
  Rows kept;                  // int64 [L], ascending: the rows whose result is wanted; undefined: all
  KeptDropout kept_dropout;   // of those rows

  at::Tensor forward(const at::Tensor& h) const;  // [N, D] -> [L, D]
};

// h with down_proj(silu(gate_proj(x)) * up_proj(x)), x = norm(h), added to the rows of each part.
struct FusedFfn {
  struct Part {
    FusedLinears gate_up, down;
    NormWeights norm;
    Rows rows;  // undefined: all
    KeptDropout dropout;
  };
  std::vector<Part> parts;  // of different rows

  at::Tensor forward(const at::Tensor& h) const;  // [N, D] -> [N, D]
};

}  // namespace higgs
