// How far two clips are from each other, frame by frame, whatever pace each is spoken at.
#pragma once

#include <ATen/core/Tensor.h>

namespace higgs {

// Mean distance of frames a [I, W] and b [J, W] (float, on the CPU; AudioTokenizer::latents()), aligned by
// dynamic time warping: the symmetric form without slope constraint of Sakoe & Chiba, "Dynamic programming
// algorithm optimization for spoken word recognition", IEEE Trans. ASSP 26 (1978) 43-49:
//   d(i, j) = |a_i - b_j|_2
//   g(1, 1) = 2 d(1, 1)
//   g(i, j) = min(g(i-1, j) + d(i, j), g(i-1, j-1) + 2 d(i, j), g(i, j-1) + d(i, j))
//   result  = g(I, J) / (I + J)
// 0 for a clip and itself, or itself with frames held longer; the same both ways round. Both need a frame.
double aligned_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace higgs
