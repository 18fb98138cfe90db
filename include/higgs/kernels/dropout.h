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

// x: float32 [N, D], contiguous. Each value is kept with probability 1 - p and then scaled by 1 / (1 - p); it
// is dropped when the Philox word of counter (feature / 4, position, sample, 0), lane feature % 4, is below p
// * 2^32. `key` = mix of seed, optimizer step and module. Differentiable in x.
at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, const RowIndex& rows);

namespace kernels {
// Threshold below which a word means "dropped".
std::uint32_t dropout_threshold(double p);
// in, out: [num_rows, num_features]; may be the same buffer.
void dropout_cpu(const float* in, float* out, std::int64_t num_rows, std::int64_t num_features, double p,
                 std::uint64_t key, const std::int32_t* sample, const std::int32_t* position);
// The same on device pointers, on `stream` (a cudaStream_t). Returns a cudaError_t. There only when nvcc was.
int dropout_cuda(const float* in, float* out, std::int64_t num_rows, std::int64_t num_features, double p,
                 std::uint64_t key, const std::int32_t* sample, const std::int32_t* position, void* stream);
}  // namespace kernels

}  // namespace higgs
