// CUDA twins of nf4_cpu.cpp. A warp quantises a block of 64 values, two a thread; a thread widens eight
// codes.
#include "device.cuh"
#include "nf4_levels.h"

namespace higgs {
namespace kernels {
namespace {

constexpr int kBlock = 64, kWarp = 32, kCodesPerThread = 8;

__constant__ float levels[16] = {HIGGS_NF4_LEVELS};

// How many midpoints between levels lie below.
__device__ int code_of(float scaled) {
  int code = 0;
  for (int i = 0; i < 15; ++i) code += scaled > __fadd_rn(levels[i], levels[i + 1]) * 0.5f ? 1 : 0;
  return code;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) quantize(Nf4Args a) {
  const int lane = threadIdx.x % kWarp;
  for (std::int64_t block = first_item() / kWarp; block < a.num_blocks; block += item_stride() / kWarp) {
    const T* in = static_cast<const T*>(a.in) + block * kBlock + 2 * lane;
    const float first = widen(in[0]), second = widen(in[1]);
    float largest = fmaxf(fabsf(first), fabsf(second));
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, offset));
    }
    const float scale = largest > 0.0f ? __fdiv_rn(1.0f, largest) : 0.0f;
    if (lane == 0) a.absmax[block] = largest;
    a.codes[block * kWarp + lane] =
        static_cast<std::uint8_t>(code_of(__fmul_rn(first, scale)) << 4 | code_of(__fmul_rn(second, scale)));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) dequantize(Nf4Args a) {
  const std::int64_t count = a.num_blocks * (kBlock / kCodesPerThread);
  for (std::int64_t i = first_item(); i < count; i += item_stride()) {
    const std::uint32_t codes = reinterpret_cast<const std::uint32_t*>(a.codes)[i];
    const float absmax = a.absmax[i / (kBlock / kCodesPerThread)];
    T values[kCodesPerThread];
    for (int k = 0; k < kCodesPerThread; ++k) {
      const int code = codes >> (k / 2 * 8 + (k % 2 == 0 ? 4 : 0)) & 15;
      values[k] = narrow<T>(__fmul_rn(levels[code], absmax));
    }
    T* out = static_cast<T*>(a.out) + i * kCodesPerThread;
    if constexpr (sizeof(T) == 2) {
      *reinterpret_cast<uint4*>(out) = *reinterpret_cast<const uint4*>(values);
    } else {
      for (int k = 0; k < kCodesPerThread; ++k) out[k] = values[k];
    }
  }
}

}  // namespace

int quantize_nf4_cuda(const Nf4Args& a, void* stream) {
  if (a.num_blocks == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  const unsigned blocks = blocks_for(a.num_blocks * kWarp);
  if (a.bf16) {
    quantize<__nv_bfloat16><<<blocks, kThreads, 0, on>>>(a);
  } else {
    quantize<float><<<blocks, kThreads, 0, on>>>(a);
  }
  return static_cast<int>(cudaGetLastError());
}

int dequantize_nf4_cuda(const Nf4Args& a, void* stream) {
  if (a.num_blocks == 0) return 0;
  const auto on = static_cast<cudaStream_t>(stream);
  const unsigned blocks = blocks_for(a.num_blocks * (kBlock / kCodesPerThread));
  if (a.bf16) {
    dequantize<__nv_bfloat16><<<blocks, kThreads, 0, on>>>(a);
  } else {
    dequantize<float><<<blocks, kThreads, 0, on>>>(a);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace kernels
}  // namespace higgs
