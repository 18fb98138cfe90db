// What the kernels take: plain pointers, the same for a CPU loop and its CUDA twin. Values marked "T" are
// float, or bfloat16 where `bf16` is set. Rows are contiguous.
#pragma once

#include <cstdint>

namespace higgs {
namespace kernels {

struct RmsNormArgs {
  bool bf16;
  std::int64_t num_rows, num_features;
  const void* x;             // T [*, D]
  const std::int64_t* rows;  // [num_rows]: the rows of x that are taken; null: the first num_rows
  const void* weight;        // T [D]
  const void* audio_weight;  // T [D]: the weight of rows that is_audio names; null: one weight for all
  const bool* is_audio;      // [*], by row of x
  float eps;
  float* rstd;      // [num_rows]: 1 / sqrt(mean(x^2) + eps)
  void* y;          // T [num_rows, D]
  const void* d_y;  // T [num_rows, D], backward only
  void* d_x;        // T [*, D]: the gradient is added to its rows, backward only
};

struct RotaryArgs {
  bool bf16, inverse;
  std::int64_t num_rows, num_heads, head_dim;
  void* x;                // T [num_rows, num_heads, head_dim]
  const void *cos, *sin;  // T [num_rows, head_dim]
};

struct SwigluArgs {
  bool bf16;
  std::int64_t num_values;
  const void *gate, *up;  // T
  void* out;              // T: silu(gate) * up
  const void* d_out;      // T, backward only
  void *d_gate, *d_up;    // T, backward only
};

struct AddRowsArgs {
  bool bf16;
  std::int64_t num_rows, num_features;
  void* x;                   // T [*, D]
  const std::int64_t* rows;  // [num_rows], each at most once; null: the first num_rows
  const void* y;             // T [num_rows, D]: added to those rows of x
};

struct DropoutArgs {
  bool bf16;  // of `sum`
  std::int64_t num_rows, num_features;
  std::uint32_t threshold;  // of 65536: a value whose random 16 bits are below it is dropped
  float scale;              // of those that are kept
  std::uint64_t key;
  const std::int32_t *sample, *position;  // [num_rows]
  const float* in;                        // [num_rows, D]
  float* out;                             // [num_rows, D]; may be `in`
  void* sum;  // T [num_rows, D]: where not null, what would be written is added to it instead
};

struct CrossEntropyArgs {
  bool bf16;
  std::int64_t num_rows, num_classes, num_groups;
  void* logits;                 // T [num_rows, K]; each becomes the gradient of the loss by it
  const std::int64_t* targets;  // [num_rows]; negative: the row has no loss
  const float* weights;   // [num_groups]: what the loss of row i counts in the gradient, by i % num_groups
  bool with_gradient;     // else the logits stay
  float* losses;          // [num_rows]: -log softmax(logits)[target], 0 without target
  std::int32_t* correct;  // [num_rows]: 1 where the target is the first of the largest logits; may be null
};

struct AttendOneArgs {
  bool bf16;
  std::int64_t num_heads, num_kv_heads, head_dim, length;
  float scale;
  const void* q;              // T [H, E]
  const void *keys, *values;  // T [length, G, E]
  float* scores;              // [H, length]: scratch
  void* out;                  // T [H, E]
};

struct SnakeArgs {
  std::int64_t num_rows, num_channels,
      num_steps;                        // a row is one channel of one clip: channel i % num_channels
  const float *x, *alpha, *reciprocal;  // [num_rows, num_steps]; [num_channels]
  float* y;                             // x + reciprocal * sin(alpha x)^2
};

struct Nf4Args {
  bool bf16;                // of in and out
  std::int64_t num_blocks;  // of 64 values
  const void* in;           // T [num_blocks, 64], to be quantised
  std::uint8_t* codes;      // [num_blocks, 32]
  float* absmax;            // [num_blocks]
  void* out;                // T [num_blocks, 64], to be filled from them
};

// CPU loops.
void rms_norm_cpu(const RmsNormArgs&, bool again);  // again: rstd is there, only y is made
void rms_norm_backward_cpu(const RmsNormArgs&);
void rotary_cpu(const RotaryArgs&);
void swiglu_cpu(const SwigluArgs&);
void swiglu_backward_cpu(const SwigluArgs&);
void add_rows_cpu(const AddRowsArgs&);
void dropout_cpu(const DropoutArgs&);
void cross_entropy_cpu(const CrossEntropyArgs&);
void snake_cpu(const SnakeArgs&);
void quantize_nf4_cpu(const Nf4Args&);
void dequantize_nf4_cpu(const Nf4Args&);
void attend_one_cpu(const AttendOneArgs&);  // has no twin

// Their twins, on device pointers and `stream` (a cudaStream_t); each returns a cudaError_t. There only when
// nvcc was.
int rms_norm_cuda(const RmsNormArgs&, bool again, void* stream);
int rms_norm_backward_cuda(const RmsNormArgs&, void* stream);
int rotary_cuda(const RotaryArgs&, void* stream);
int swiglu_cuda(const SwigluArgs&, void* stream);
int swiglu_backward_cuda(const SwigluArgs&, void* stream);
int add_rows_cuda(const AddRowsArgs&, void* stream);
int dropout_cuda(const DropoutArgs&, void* stream);
int cross_entropy_cuda(const CrossEntropyArgs&, void* stream);
int snake_cuda(const SnakeArgs&, void* stream);
int quantize_nf4_cuda(const Nf4Args&, void* stream);
int dequantize_nf4_cuda(const Nf4Args&, void* stream);

}  // namespace kernels
}  // namespace higgs
