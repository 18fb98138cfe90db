// What memory a run takes, from the configuration alone: no weights are read and no device is asked.
// D model width, F FFN width, H heads, G key/value heads, E head width, V vocabulary, C codebooks, K ids
// each.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "higgs/model/config.h"

namespace higgs {

struct ModelSize {
  std::int64_t base = 0;    // parameters of the base
  std::int64_t linear = 0;  // of them: in the decoder's linear maps
  // Of an adapter of rank `r` on every linear map, and modules trained whole (names of kWholeModules,
  // model/module_groups.h).
  std::int64_t adapter = 0;
};
ModelSize model_size(const ModelConfig& config, std::int64_t r, bool text_head,
                     const std::vector<std::string>& modules_to_save = {});

struct PlanOptions {
  at::ScalarType dtype = at::kBFloat16;
  bool quantized = false;  // the decoder's linear maps in four bits (kernels/nf4.h)
  std::int64_t r = 16;
  std::vector<std::string> modules_to_save;  // names of kWholeModules
  bool dropout = true;  // LoRA dropout takes a copy of a module's input while it is at work
  bool text_head = true;
  bool recompute = false;       // gradient checkpointing
  std::int64_t rows = 0;        // real tokens of a micro-batch, audio frames included
  std::int64_t text_rows = 0;   // of them: supervised text tokens
  std::int64_t audio_rows = 0;  // of them: supervised frames
  std::int64_t sample_rows =
      0;  // tokens of one sample, which attend to each other; 0: attention isn't counted
};

// Bytes.
struct MemoryPlan {
  std::int64_t weights = 0, adapter = 0, gradients = 0, moments = 0;
  std::int64_t activations = 0;  // kept for the backward pass
  std::int64_t working = 0;      // of the part at work beside that: a layer, or the heads and their loss

  std::int64_t total() const { return weights + adapter + gradients + moments + activations + working; }
};
MemoryPlan plan_memory(const ModelConfig& config, const PlanOptions& options);

// Floating point operations of a micro-batch, forward and backward, in matrix products: through a frozen map
// twice two a weight (its output, its input's gradient), through an adapter's three times two, through a head
// at supervised rows, as a frozen map or as one that learns; attention 7 S Q a row and layer (two products
// forward, five backward with one computed again, half of each by causality; Dao et al. 2022), S tokens of a
// sample, Q = H E. With `recompute` the layers' forward pass counts twice.
double micro_batch_flops(const ModelConfig& config, const PlanOptions& options);

// The most rows a micro-batch can have within `bytes`, in the proportions of `options`; 0 when even the
// weights don't fit.
std::int64_t largest_batch(const ModelConfig& config, PlanOptions options, std::int64_t bytes);

}  // namespace higgs
