// The layers' fused forms: which weights and rows model/fused_layer.h is given.
#include <algorithm>

#include "fused_layer.h"
#include "higgs/model/layers.h"

namespace higgs {
namespace {

KeptDropout kept_dropout(const ForwardContext& context, const RowIndex& index) {
  return {context.dropout_p, context.dropout_key, index};
}

}  // namespace

at::Tensor Attention::forward_fused(const at::Tensor& x, const NormWeights& norm,
                                    const ForwardContext& context, const WantedRows& wanted,
                                    std::span<KvCache> caches) const {
  return FusedAttention{FusedLinears({q_proj_.get(), k_proj_.get(), v_proj_.get()}),
                        FusedLinears({o_proj_.get()}),
                        norm,
                        num_heads_,
                        num_kv_heads_,
                        head_dim_,
                        context.all.rope,
                        {context.all.cu_seqlens, context.all.cu_seqlens_int32},
                        kept_dropout(context, context.all.index),
                        caches,
                        wanted.rows,
                        kept_dropout(context, wanted.index)}
      .forward(x);
}

at::Tensor DecoderLayer::forward_fused(const at::Tensor& x, const ForwardContext& context,
                                       const WantedRows& wanted, std::span<KvCache> caches) const {
  const double eps = input_layernorm_->eps();
  const auto part = [&](const Mlp& mlp, const RmsNorm& norm, const Rows& rows, const RowIndex& index) {
    return FusedFfn::Part{FusedLinears({mlp.gate(), mlp.up()}),
                          FusedLinears({mlp.down()}),
                          {norm.weight().to(x.scalar_type()), {}, {}, eps},
                          rows,
                          kept_dropout(context, index)};
  };
  NormWeights norm{input_layernorm_->weight().to(x.scalar_type()), {}, {}, eps};
  FusedFfn ffn;
  if (form_ == LayerForm::kDualFfn) {
    norm.audio_weight = audio_input_layernorm_->weight().to(x.scalar_type());
    norm.is_audio = context.is_audio;
    ffn.parts = {part(*mlp_, *post_attention_layernorm_, wanted.text, wanted.text_index),
                 part(*audio_mlp_, *audio_post_attention_layernorm_, wanted.audio, wanted.audio_index)};
  } else {
    ffn.parts = {part(*mlp_, *post_attention_layernorm_, {}, wanted.index)};
  }
  return ffn.forward(self_attn_->forward_fused(x, norm, context, wanted, caches));
}

bool DecoderLayer::can_fuse() const {
  if (form_ == LayerForm::kFastForward) return false;
  return std::ranges::none_of(linears_,
                              [](const LoraLinear* linear) { return linear->magnitude().defined(); });
}

}  // namespace higgs
