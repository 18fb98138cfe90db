// Dropout whose masks are a function of where a value stands, not of when it is computed: the same value is
// dropped however a step is split into micro-batches, packed, or spread over ranks, and backward regenerates
// the mask instead of storing it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace higgs {

// Identifies the rows of a packed batch to the generator.
struct RowIndex {
  at::Tensor sample;    // int32 [N]: index of the row's sample in the optimizer step
  at::Tensor position;  // int32 [N]: position inside the sample
};

// x: float32 [N, D], contiguous. With q = p rounded to a multiple of 2^-16, each value is kept with
// probability 1 - q and then scaled by 1 / (1 - q). It is dropped when its 16 random bits are below q * 2^16:
// those of the Philox words of counter (feature / 8, position, sample, 0), word feature % 8 / 2, the low half
// for an even feature. `key` = mix of seed, optimizer step and module. Differentiable in x.
at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows);

// The same without autograd, and added to `sum` (float32 or bfloat16 [N, D]).
at::Tensor dropped(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows);
void add_dropped_(at::Tensor& sum, const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows);

}  // namespace higgs
