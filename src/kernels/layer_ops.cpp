#include "higgs/kernels/layer_ops.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "call.h"

namespace higgs {
namespace {

kernels::RmsNormArgs norm_args(const at::Tensor& x, const Rows& rows, const NormWeights& weights,
                               const at::Tensor& rstd) {
  HIGGS_ASSERT(x.dim() == 2 && weights.weight.numel() == x.size(1));
  kernels::RmsNormArgs args{};
  args.bf16 = kernels::is_bf16(x);
  HIGGS_ASSERT(weights.weight.scalar_type() == x.scalar_type());
  args.num_rows = rows.defined() ? rows.numel() : x.size(0);
  args.num_features = x.size(1);
  args.x = x.const_data_ptr();
  args.rows = kernels::data_or_null<std::int64_t>(rows);
  args.weight = weights.weight.const_data_ptr();
  if (weights.audio_weight.defined()) {
    HIGGS_ASSERT(weights.is_audio.numel() == x.size(0));
    args.audio_weight = weights.audio_weight.const_data_ptr();
    args.is_audio = weights.is_audio.const_data_ptr<bool>();
  }
  args.eps = static_cast<float>(weights.eps);
  args.rstd = static_cast<float*>(rstd.mutable_data_ptr());
  return args;
}

kernels::SwigluArgs swiglu_args(const at::Tensor& gate, const at::Tensor& up) {
  HIGGS_ASSERT(gate.sizes() == up.sizes() && kernels::is_bf16(gate) == kernels::is_bf16(up));
  kernels::SwigluArgs args{};
  args.bf16 = kernels::is_bf16(gate);
  args.num_values = gate.numel();
  args.gate = gate.const_data_ptr();
  args.up = up.const_data_ptr();
  return args;
}

}  // namespace

Normed rms_norm(const at::Tensor& x, const Rows& rows, const NormWeights& weights) {
  const std::int64_t n = rows.defined() ? rows.numel() : x.size(0);
  Normed out{at::empty({n, x.size(1)}, x.options()), at::empty({n}, x.options().dtype(at::kFloat))};
  kernels::RmsNormArgs args = norm_args(x, rows, weights, out.rstd);
  args.y = out.y.mutable_data_ptr();
  HIGGS_CALL(x, rms_norm, args, /*again=*/false);
  return out;
}

at::Tensor rms_norm_again(const at::Tensor& x, const Rows& rows, const NormWeights& weights,
                          const at::Tensor& rstd) {
  kernels::RmsNormArgs args = norm_args(x, rows, weights, rstd);
  at::Tensor y = at::empty({args.num_rows, x.size(1)}, x.options());
  args.y = y.mutable_data_ptr();
  HIGGS_CALL(x, rms_norm, args, /*again=*/true);
  return y;
}

void rms_norm_backward(const at::Tensor& d_y, const at::Tensor& x, const Rows& rows,
                       const NormWeights& weights, const at::Tensor& rstd, at::Tensor& d_x) {
  kernels::RmsNormArgs args = norm_args(x, rows, weights, rstd);
  HIGGS_ASSERT(kernels::is_bf16(d_y) == args.bf16 && kernels::is_bf16(d_x) == args.bf16);
  HIGGS_ASSERT(d_y.size(0) == args.num_rows && d_x.sizes() == x.sizes());
  args.d_y = d_y.const_data_ptr();
  args.d_x = d_x.mutable_data_ptr();
  HIGGS_CALL(x, rms_norm_backward, args);
}

void rotate_(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  HIGGS_ASSERT(x.dim() == 3 && cos.size(0) == x.size(0) && cos.size(1) == x.size(2) &&
               sin.sizes() == cos.sizes());
  kernels::RotaryArgs args{};
  args.bf16 = kernels::is_bf16(x);
  HIGGS_ASSERT(kernels::is_bf16(cos) == args.bf16 && kernels::is_bf16(sin) == args.bf16);
  args.inverse = inverse;
  args.num_rows = x.size(0);
  args.num_heads = x.size(1);
  args.head_dim = x.size(2);
  args.x = x.mutable_data_ptr();
  args.cos = cos.const_data_ptr();
  args.sin = sin.const_data_ptr();
  HIGGS_CALL(x, rotary, args);
}

at::Tensor attend_one(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values) {
  HIGGS_ASSERT(q.is_cpu() && q.size(0) == 1 && keys.sizes() == values.sizes() && keys.size(0) > 0);
  HIGGS_ASSERT(q.size(2) == keys.size(2) && q.size(1) % keys.size(1) == 0);
  kernels::AttendOneArgs args{};
  args.bf16 = kernels::is_bf16(q);
  HIGGS_ASSERT(kernels::is_bf16(keys) == args.bf16 && kernels::is_bf16(values) == args.bf16);
  args.num_heads = q.size(1);
  args.num_kv_heads = keys.size(1);
  args.head_dim = q.size(2);
  args.length = keys.size(0);
  args.scale = 1.0f / std::sqrt(static_cast<float>(q.size(2)));
  at::Tensor out = at::empty_like(q);
  at::Tensor scores = at::empty({args.num_heads, args.length}, q.options().dtype(at::kFloat));
  args.q = q.const_data_ptr();
  args.keys = keys.const_data_ptr();
  args.values = values.const_data_ptr();
  args.scores = scores.mutable_data_ptr<float>();
  args.out = out.mutable_data_ptr();
  kernels::attend_one_cpu(args);
  return out;
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  at::Tensor out = at::empty_like(gate);
  kernels::SwigluArgs args = swiglu_args(gate, up);
  args.out = out.mutable_data_ptr();
  HIGGS_CALL(gate, swiglu, args);
  return out;
}

SwigluGradients swiglu_backward(const at::Tensor& d_out, const at::Tensor& gate, const at::Tensor& up) {
  SwigluGradients out{at::empty_like(gate), at::empty_like(up)};
  kernels::SwigluArgs args = swiglu_args(gate, up);
  HIGGS_ASSERT(d_out.sizes() == gate.sizes() && kernels::is_bf16(d_out) == args.bf16);
  args.d_out = d_out.const_data_ptr();
  args.d_gate = out.gate.mutable_data_ptr();
  args.d_up = out.up.mutable_data_ptr();
  HIGGS_CALL(gate, swiglu_backward, args);
  return out;
}

void add_rows_(at::Tensor& x, const Rows& rows, const at::Tensor& y) {
  kernels::AddRowsArgs args{};
  args.bf16 = kernels::is_bf16(x);
  HIGGS_ASSERT(kernels::is_bf16(y) == args.bf16 && x.size(1) == y.size(1));
  HIGGS_ASSERT(y.size(0) == (rows.defined() ? rows.numel() : x.size(0)));
  args.num_rows = y.size(0);
  args.num_features = x.size(1);
  args.x = x.mutable_data_ptr();
  args.rows = kernels::data_or_null<std::int64_t>(rows);
  args.y = y.const_data_ptr();
  HIGGS_CALL(x, add_rows, args);
}

RowLosses cross_entropy_(at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights) {
  HIGGS_ASSERT(logits.dim() == 2 && targets.numel() == logits.size(0) && logits.size(1) > 0);
  kernels::CrossEntropyArgs args{};
  args.bf16 = kernels::is_bf16(logits);
  args.num_rows = logits.size(0);
  args.num_classes = logits.size(1);
  RowLosses out{at::empty({args.num_rows}, logits.options().dtype(at::kFloat)),
                at::empty({args.num_rows}, logits.options().dtype(at::kInt))};
  args.logits = logits.mutable_data_ptr();
  args.targets = targets.const_data_ptr<std::int64_t>();
  args.with_gradient = weights.defined();
  args.weights = kernels::data_or_null<float>(weights);
  args.num_groups = weights.defined() ? weights.numel() : 1;
  args.losses = out.losses.mutable_data_ptr<float>();
  args.correct = out.correct.mutable_data_ptr<std::int32_t>();
  HIGGS_CALL(logits, cross_entropy, args);
  return out;
}

}  // namespace higgs
