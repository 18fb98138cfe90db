// Causal attention within the segments of a packed batch, forward and backward without autograd. N rows, H
// heads, G key/value heads, E head width.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "higgs/model/kv_cache.h"

namespace higgs {

struct Segments {
  std::vector<std::int64_t> cu_seqlens;  // [B + 1]
  at::Tensor cu_seqlens_device;          // int32 [B + 1] on a GPU, where the kernel reads them
};

// What the backward pass needs beside q, k and v.
struct Attended {
  at::Tensor out;                          // [N, H, E]
  std::vector<at::Tensor> log_sum_of_exp;  // one for each segment that has rows; on a GPU one for all
  at::Tensor rng_state, unused;            // of the GPU's kernel
};

// q: [N, H, E]; k, v: [N, G, E]; rotated. LibTorch's flash attention: on a GPU (bfloat16) one call for all
// segments, on the CPU one for each.
Attended attend_segments(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const Segments& segments);

// The same for rows that follow those in their segment's cache (all of a sequence, or one), which are
// appended to it. No backward. What a segment gets doesn't depend on the others.
Attended attend_cached(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const Segments& segments, std::span<KvCache> caches);

struct AttentionGradients {
  at::Tensor q, k, v;
};
AttentionGradients attend_segments_backward(const at::Tensor& d_out, const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, const Attended& attended,
                                            const Segments& segments);

}  // namespace higgs
