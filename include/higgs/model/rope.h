// Rotary position embedding (Su et al. 2021), with the frequency scaling of Llama 3.1.
#pragma once

#include <ATen/core/Tensor.h>

#include "higgs/model/config.h"

namespace higgs {

// float [head_dim / 2]: theta^(-2i/d), and with scaling: wavelengths above original_max / low_freq_factor are
// stretched by `factor`, those below original_max / high_freq_factor kept, between them interpolated.
at::Tensor rope_frequencies(const ModelConfig& config);

// cos and sin of position * frequency, each [N, head_dim] (the halves repeat), in `dtype`.
struct RopeTable {
  at::Tensor cos, sin;
};
RopeTable rope_table(const at::Tensor& frequencies, const at::Tensor& positions, at::ScalarType dtype);

// x: [N, heads, head_dim] -> x * cos + rotate_half(x) * sin.
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

}  // namespace higgs
