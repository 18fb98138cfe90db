#include "segment_attention.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/kernels/layer_ops.h"

namespace higgs {
namespace {

// [n, heads, E] -> [1, heads, n, E], without a copy.
at::Tensor heads_first(const at::Tensor& x) {
  return x.transpose(0, 1).unsqueeze(0);
}

// [n, G, E] -> [1, H, n, E]: every head's own keys.
at::Tensor for_each_head(const at::Tensor& x, std::int64_t num_heads) {
  const std::int64_t groups = x.size(1);
  if (groups == num_heads) return heads_first(x);
  return heads_first(x.unsqueeze(2).expand({-1, -1, num_heads / groups, -1}).flatten(1, 2));
}

// Gradients by every head's keys [1, H, n, E] -> by those shared [n, G, E].
at::Tensor sum_over_group(const at::Tensor& d, std::int64_t groups) {
  const at::Tensor rows = d.squeeze(0).transpose(0, 1);  // [n, H, E]
  if (rows.size(1) == groups) return rows;
  return rows.unflatten(1, {groups, rows.size(1) / groups}).sum(2);
}

// use(begin, size) of each segment that has rows.
template <typename Use>
void for_each_segment(const Segments& segments, const Use& use) {
  for (std::size_t s = 0; s + 1 < segments.cu_seqlens.size(); ++s) {
    const std::int64_t begin = segments.cu_seqlens[s], size = segments.cu_seqlens[s + 1] - begin;
    if (size > 0) use(begin, size);
  }
}

// Of one segment. [n, H, E]
at::Tensor attend_behind(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, KvCache& cache) {
  const std::int64_t n = q.size(0);
  HIGGS_ASSERT(cache.length + n <= cache.keys.size(0) && (n == 1 || cache.length == 0));
  cache.keys.narrow(0, cache.length, n).copy_(k);
  cache.values.narrow(0, cache.length, n).copy_(v);
  cache.length += n;
  const at::Tensor keys = cache.keys.narrow(0, 0, cache.length),
                   values = cache.values.narrow(0, 0, cache.length);
  if (n == 1 && q.is_cpu()) return attend_one(q, keys, values);
  const at::Tensor out =
      at::scaled_dot_product_attention(heads_first(q), heads_first(keys), heads_first(values), {}, 0.0,
                                       /*is_causal=*/n > 1, /*scale=*/std::nullopt,
                                       /*enable_gqa=*/q.size(1) != k.size(1));
  return out.squeeze(0).transpose(0, 1).contiguous();
}

std::int64_t longest(const Segments& segments) {
  std::int64_t most = 0;
  for_each_segment(segments, [&](std::int64_t, std::int64_t size) { most = std::max(most, size); });
  return most;
}

}  // namespace

Attended attend_segments(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const Segments& segments) {
  Attended result;
  if (q.is_cuda()) {
    const at::Tensor& cu = segments.cu_seqlens_device;
    const std::int64_t most = longest(segments);
    auto [out, lse, rng_state, unused, mask] = at::_flash_attention_forward(
        q, k, v, cu, cu, most, most, /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false);
    return {out.contiguous(), {lse}, rng_state, unused};
  }
  result.out = at::empty_like(q);
  const std::int64_t H = q.size(1);
  for_each_segment(segments, [&](std::int64_t begin, std::int64_t size) {
    auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
        heads_first(q.narrow(0, begin, size)), for_each_head(k.narrow(0, begin, size), H),
        for_each_head(v.narrow(0, begin, size), H), 0.0, /*is_causal=*/true);
    result.out.narrow(0, begin, size).copy_(out.squeeze(0).transpose(0, 1));
    result.log_sum_of_exp.push_back(lse);
  });
  return result;
}

Attended attend_cached(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const Segments& segments, std::span<KvCache> caches) {
  HIGGS_ASSERT(caches.size() + 1 == segments.cu_seqlens.size());
  if (caches.size() == 1) return {attend_behind(q, k, v, caches[0]), {}, {}, {}};
  Attended result;
  result.out = at::empty_like(q);
  for (std::size_t s = 0; s < caches.size(); ++s) {
    const std::int64_t begin = segments.cu_seqlens[s], size = segments.cu_seqlens[s + 1] - begin;
    if (size == 0) continue;
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, begin, size); };
    part(result.out).copy_(attend_behind(part(q), part(k), part(v), caches[s]));
  }
  return result;
}

AttentionGradients attend_segments_backward(const at::Tensor& d_out, const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, const Attended& attended,
                                            const Segments& segments) {
  if (q.is_cuda()) {
    const at::Tensor& cu = segments.cu_seqlens_device;
    const std::int64_t most = longest(segments);
    auto [d_q, d_k, d_v] = at::_flash_attention_backward(
        d_out, q, k, v, attended.out, attended.log_sum_of_exp[0], cu, cu, most, most, /*dropout_p=*/0.0,
        /*is_causal=*/true, attended.rng_state, attended.unused);
    return {d_q.contiguous(), d_k.contiguous(), d_v.contiguous()};
  }
  AttentionGradients d{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
  const std::int64_t H = q.size(1), G = k.size(1);
  std::size_t index = 0;
  for_each_segment(segments, [&](std::int64_t begin, std::int64_t size) {
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, begin, size); };
    auto [d_q, d_k, d_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        heads_first(part(d_out)), heads_first(part(q)), for_each_head(part(k), H), for_each_head(part(v), H),
        heads_first(part(attended.out)), attended.log_sum_of_exp[index++], 0.0, /*is_causal=*/true);
    part(d.q).copy_(d_q.squeeze(0).transpose(0, 1));
    part(d.k).copy_(sum_over_group(d_k, G));
    part(d.v).copy_(sum_over_group(d_v, G));
  });
  return d;
}

}  // namespace higgs
