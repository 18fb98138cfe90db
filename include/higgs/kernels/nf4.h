// 4-bit NormalFloat (Dettmers et al., "QLoRA", NeurIPS 2023, section 3 and appendix E): 64 values share the
// largest magnitude among them; each is one of 16 levels of it. The codes, their order in a byte and the
// rounding are bitsandbytes'.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace higgs {

inline constexpr std::int64_t kNf4Block = 64;

struct Nf4 {
  at::Tensor codes;                 // uint8 [n / 2]: two codes a byte, the first in its upper half
  at::Tensor absmax;                // float32 [n / 64]
  std::vector<std::int64_t> shape;  // of the n values
};

// `values`: float32 or bfloat16, contiguous, a multiple of kNf4Block of them.
Nf4 quantize_nf4(const at::Tensor& values);
// Level times magnitude, rounded to `dtype`: float32 or bfloat16.
at::Tensor dequantize_nf4(const Nf4& quantized, at::ScalarType dtype);

}  // namespace higgs
