// What a LoRA or DoRA adapter makes of a weight, as a whole matrix. W [out, in] in any floating type, A [r,
// in], B [out, r]; all results float32.
#pragma once

#include <ATen/core/Tensor.h>

namespace higgs {

// 2-norm of each row of W + s B A: [out]. Computed a block of rows at a time.
at::Tensor dora_norm(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling);

// W + s B A; with a magnitude m [out] (DoRA), m / norm times that: [out, in].
at::Tensor merged_weight(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling,
                         const at::Tensor& magnitude);

}  // namespace higgs
