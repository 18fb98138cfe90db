// Higgs Audio's language model: a Llama-like decoder whose layers keep one FFN for text and one for audio.
// N rows of a packed batch, D model width, C codebooks, K ids per codebook, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "higgs/data/pack.h"
#include "higgs/model/config.h"
#include "higgs/model/kv_cache.h"

namespace higgs {

// torch::nn modules; their headers are heavy, so they stay out of this one (model/layers.h,
// model/lora_linear.h).
class AudioTower;
class Decoder;
class LoraLinear;
struct ForwardContext;

struct ForwardOptions {
  double dropout_p = 0.0;         // LoRA dropout; 0 in evaluation
  std::uint64_t dropout_key = 0;  // mix of seed and optimizer step
  // For generation: layer by layer, one for each sample of the batch.
  std::vector<KvCache>* caches = nullptr;
  // For comparisons: filled with the first layer's input, and with each layer's output.
  at::Tensor* embeddings = nullptr;
  std::vector<at::Tensor>* layer_outputs = nullptr;
  bool wide = false;  // activations in float32 whatever the model's dtype; weights are widened one by one
  bool only_targets = false;  // the result's rows are batch.target_rows
};

class HiggsModel {
 public:
  // Loads every weight from `folder`; UserError for anything missing, left over, or of another shape.
  // `quantize`: the decoder's linear maps are kept in four bits (kernels/nf4.h).
  HiggsModel(const fs::path& folder, at::ScalarType dtype, at::Device device, bool quantize = false);

  // Hidden states after the final norm: [N, D], or of the target rows [L, D].
  at::Tensor forward(const PackedBatch& batch, const ForwardOptions& options = {});

  at::Tensor text_logits(const at::Tensor& hidden) const;   // [n, D] -> [n, V]
  at::Tensor audio_logits(const at::Tensor& hidden) const;  // [n, D] -> [n, C, K]
  bool has_text_head() const { return text_lm_head_ != nullptr; }
  at::Tensor text_head() const { return weight("text_lm_head.weight"); }    // [V, D]; undefined without
  at::Tensor audio_head() const { return weight("audio_lm_head.weight"); }  // [C * K, D]

  // Whether layers and losses are composed of torch's operators instead of the fused passes
  // (model/fused_layer.h, train/head_loss.h): slower, the same within rounding, for comparison.
  bool reference_path() const { return reference_path_; }
  void set_reference_path(bool on) { reference_path_ = on; }

  // Whether a layer keeps only its input for the backward pass, which computes the rest again (gradient
  // checkpointing).
  void set_gradient_checkpointing(bool on) { recompute_ = on; }

  // The heads there are; an adapter made elsewhere may stand beside them too. Nothing is dropped out there.
  std::vector<std::shared_ptr<LoraLinear>> heads() const;
  // The weight with this canonical name (model/layout.h); undefined when there is none. It may be a view of
  // the mapped checkpoint: set_data() gives the model another tensor, nothing may write into this one.
  at::Tensor weight(const std::string& canonical) const;
  // Has a whole module's weight (model/module_groups.h) learn: from now on it is `values`, a float32 leaf of
  // its shape, rounded to the model's dtype where it is used; undefined: as it was before.
  void train_weight(const std::string& canonical, at::Tensor values);

  // For one sample, one per layer. `wide`: for a forward with that option.
  std::vector<KvCache> make_caches(std::int64_t capacity, bool wide = false) const;
  // Every linear map a new adapter stands beside, in the model's order.
  const std::vector<std::shared_ptr<LoraLinear>>& linears() const { return linears_; }

  const ModelConfig& config() const { return config_; }
  const fs::path& folder() const { return folder_; }
  at::ScalarType dtype() const { return dtype_; }
  at::Device device() const { return device_; }

 private:
  at::Tensor embed(const PackedBatch& batch, const at::Tensor& merge_rows) const;
  ForwardContext make_context(const PackedBatch& batch, const ForwardOptions& options) const;

  fs::path folder_;
  ModelConfig config_;
  at::ScalarType dtype_;
  at::Device device_;
  bool reference_path_ = false, recompute_ = false;
  at::Tensor embed_tokens_, audio_embed_;
  at::Tensor trained_audio_embed_;  // float32 leaf [C * K, D]; undefined while frozen
  std::shared_ptr<LoraLinear> audio_lm_head_, text_lm_head_;  // the second null where there is none
  at::Tensor rope_frequencies_;
  at::Tensor codebook_offsets_;  // int64 [C]: where each codebook's rows begin in the audio embedding
  std::shared_ptr<const AudioTower> audio_tower_;  // null where config.json skips it
  std::shared_ptr<Decoder> decoder_;
  std::vector<std::shared_ptr<LoraLinear>> linears_;
};

}  // namespace higgs
