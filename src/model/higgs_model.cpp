#include "higgs/model/higgs_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/kernels/device.h"
#include "higgs/model/audio_tower.h"
#include "higgs/model/layers.h"

namespace higgs {

HiggsModel::HiggsModel(const fs::path& folder, at::ScalarType dtype, at::Device device, bool quantize)
    : folder_(folder), config_(read_model_config(folder)), dtype_(dtype), device_(device) {
  WeightSource weights(folder, config_.layout, dtype, device, quantize);
  const std::int64_t D = config_.hidden_size;
  const std::int64_t audio_rows = config_.num_codebooks * config_.codebook_rows;
  embed_tokens_ = weights.take("embed_tokens.weight", {config_.vocab_size, D});
  audio_embed_ = weights.take("audio_embed.weight", {audio_rows, D});
  decoder_ = std::make_shared<Decoder>(config_, weights);
  audio_lm_head_ =
      std::make_shared<LoraLinear>("audio_lm_head", weights.take("audio_lm_head.weight", {audio_rows, D}));
  // An HF base that was saved again may lack its text head; a boson one without is of another model.
  at::Tensor text_head = config_.layout == Layout::kHf
                             ? weights.take_if_present("text_lm_head.weight", {config_.vocab_size, D})
                             : weights.take("text_lm_head.weight", {config_.vocab_size, D});
  if (text_head.defined()) text_lm_head_ = std::make_shared<LoraLinear>("text_lm_head", std::move(text_head));
  if (config_.audio_tower) {
    audio_tower_ = std::make_shared<const AudioTower>(*config_.audio_tower, D, weights);
  } else {
    for (const char* prefix : {"audio_tower.", "audio_encoder_proj."}) weights.ignore(prefix);
  }
  weights.expect_all_taken();
  linears_ = decoder_->linears();

  rope_frequencies_ = rope_frequencies(config_).to(device);
  codebook_offsets_ =
      at::arange(config_.num_codebooks, at::TensorOptions(at::kLong).device(device)) * config_.codebook_rows;
}

namespace {

RowIndex rows_of(const RowIndex& index, const at::Tensor& rows) {
  return {index.sample.index_select(0, rows), index.position.index_select(0, rows)};
}

// On a GPU the fused attention is LibTorch's flash kernel, which knows no float32 and not every head.
bool can_fuse(at::Device device, at::ScalarType dtype, std::int64_t head_dim) {
  return device.is_cpu() ||
         (has_cuda_kernels() && dtype == at::kBFloat16 && head_dim % 8 == 0 && head_dim <= 256);
}

}  // namespace

ForwardContext HiggsModel::make_context(const PackedBatch& batch, const ForwardOptions& options) const {
  ForwardContext context;
  context.all.rope = rope_table(rope_frequencies_, batch.positions, options.wide ? at::kFloat : dtype_);
  context.all.cu_seqlens = batch.cu_seqlens;
  const bool passes_over_audio = std::ranges::count(config_.layer_forms, LayerForm::kFastForward) > 0;
  if (passes_over_audio) {
    context.text.rope = {context.all.rope.cos.index_select(0, batch.text_rows),
                         context.all.rope.sin.index_select(0, batch.text_rows)};
    context.text.cu_seqlens = batch.text_cu_seqlens;
  }
  context.all.cu_seqlens_int32 = batch.cu_seqlens_int32;
  context.is_audio = batch.is_audio;
  context.fused = !reference_path_ && can_fuse(device_, options.wide ? at::kFloat : dtype_, config_.head_dim);
  context.recompute = recompute_ && options.caches == nullptr && at::GradMode::is_enabled();
  context.rows.text = batch.text_rows;
  context.rows.audio = batch.audio_rows;
  const at::Tensor order = at::cat({batch.text_rows, batch.audio_rows});
  context.merge_rows = at::empty_like(order).scatter_(0, order, at::arange(order.numel(), order.options()));
  context.dropout_p = options.dropout_p;
  context.dropout_key = options.dropout_key;
  if (options.dropout_p > 0.0) {
    context.all.index = context.rows.index = batch.index;
    context.rows.text_index = context.text.index = rows_of(batch.index, batch.text_rows);
    context.rows.audio_index = rows_of(batch.index, batch.audio_rows);
  }
  context.last = context.rows;
  if (!options.only_targets) return context;
  context.last = {batch.target_rows, batch.target_text, batch.target_audio, {}, {}, {}};
  if (options.dropout_p > 0.0) {
    context.last.index = rows_of(batch.index, batch.target_rows);
    context.last.text_index = rows_of(context.last.index, batch.target_text);
    context.last.audio_index = rows_of(context.last.index, batch.target_audio);
  }
  return context;
}

// A frame's embedding is the sum of its codebooks' embeddings; a feature is what the audio tower makes of it.
at::Tensor HiggsModel::embed(const PackedBatch& batch, const at::Tensor& merge_rows) const {
  at::Tensor text = embed_tokens_.index_select(0, batch.text_ids);
  if (batch.audio_features.defined()) {
    HIGGS_ASSERT(audio_tower_ != nullptr);
    const at::Tensor heard = audio_tower_->forward(batch.audio_features, batch.features_valid).flatten(0, 1);
    text = text.index_copy(0, batch.feature_slots, heard.index_select(0, batch.feature_sources));
  }
  const std::int64_t frames = batch.audio_ids.size(0);
  const at::Tensor rows = (batch.audio_ids + codebook_offsets_).reshape({-1});
  // Where the table learns, its gradient adds up in float32, in one order (index_select's doesn't on a GPU).
  const at::Tensor looked_up =
      at::embedding(trained_audio_embed_.defined() ? trained_audio_embed_ : audio_embed_, rows).to(dtype_);
  const at::Tensor audio = looked_up.view({frames, config_.num_codebooks, config_.hidden_size}).sum(1);
  return at::cat({text, audio}).index_select(0, merge_rows);
}

at::Tensor HiggsModel::forward(const PackedBatch& batch, const ForwardOptions& options) {
  const ForwardContext context = make_context(batch, options);
  at::Tensor x = embed(batch, context.merge_rows);
  if (options.wide) x = x.to(at::kFloat);
  if (options.embeddings != nullptr) *options.embeddings = x;
  return decoder_->forward(std::move(x), context, options.caches, options.layer_outputs);
}

at::Tensor HiggsModel::text_logits(const at::Tensor& hidden) const {
  HIGGS_ASSERT(has_text_head());
  return text_lm_head_->forward(hidden, {});
}

at::Tensor HiggsModel::audio_logits(const at::Tensor& hidden) const {
  return audio_lm_head_->forward(hidden, {})
      .view({hidden.size(0), config_.num_codebooks, config_.codebook_rows});
}

std::vector<std::shared_ptr<LoraLinear>> HiggsModel::heads() const {
  std::vector<std::shared_ptr<LoraLinear>> all = {audio_lm_head_};
  if (text_lm_head_ != nullptr) all.push_back(text_lm_head_);
  return all;
}

at::Tensor HiggsModel::weight(const std::string& canonical) const {
  if (canonical == "embed_tokens.weight") return embed_tokens_;
  if (canonical == "audio_embed.weight")
    return trained_audio_embed_.defined() ? trained_audio_embed_.detach().to(dtype_) : audio_embed_;
  for (const auto& head : heads()) {
    if (canonical == head->path() + ".weight") return head->weight();
  }
  const std::string layers = "layers.";  // registered without the dot, which torch doesn't allow in a name
  const bool in_layer = canonical.rfind(layers, 0) == 0;
  const auto buffers = decoder_->named_buffers();
  const at::Tensor* found = buffers.find(in_layer ? "layer" + canonical.substr(layers.size()) : canonical);
  return found != nullptr ? *found : at::Tensor();
}

void HiggsModel::train_weight(const std::string& canonical, at::Tensor values) {
  if (canonical == "audio_embed.weight") {
    HIGGS_ASSERT(!values.defined() || values.sizes() == audio_embed_.sizes());
    trained_audio_embed_ = std::move(values);
    return;
  }
  const auto all = heads();
  const auto head =
      std::ranges::find_if(all, [&](const auto& one) { return canonical == one->path() + ".weight"; });
  HIGGS_ASSERT(head != all.end());
  (*head)->train_weight(std::move(values));
}

std::vector<KvCache> HiggsModel::make_caches(std::int64_t capacity, bool wide) const {
  std::vector<KvCache> caches(static_cast<std::size_t>(config_.num_layers));
  for (KvCache& cache : caches) {
    const auto options = at::TensorOptions(wide ? at::kFloat : dtype_).device(device_);
    cache.keys = at::empty({capacity, config_.num_kv_heads, config_.head_dim}, options);
    cache.values = at::empty_like(cache.keys);
  }
  return caches;
}

}  // namespace higgs
