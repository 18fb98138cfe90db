#include "higgs/kernels/nf4.h"

#include <ATen/ops/empty.h>

#include "call.h"

namespace higgs {

Nf4 quantize_nf4(const at::Tensor& values) {
  HIGGS_ASSERT(values.numel() % kNf4Block == 0);
  const at::TensorOptions options = values.options();
  Nf4 quantized{at::empty({values.numel() / 2}, options.dtype(at::kByte)),
                at::empty({values.numel() / kNf4Block}, options.dtype(at::kFloat)), values.sizes().vec()};
  kernels::Nf4Args args{};
  args.bf16 = kernels::is_bf16(values);
  args.num_blocks = quantized.absmax.numel();
  args.in = values.const_data_ptr();
  args.codes = quantized.codes.mutable_data_ptr<std::uint8_t>();
  args.absmax = quantized.absmax.mutable_data_ptr<float>();
  HIGGS_CALL(values, quantize_nf4, args);
  return quantized;
}

at::Tensor dequantize_nf4(const Nf4& quantized, at::ScalarType dtype) {
  at::Tensor values = at::empty(quantized.shape, quantized.absmax.options().dtype(dtype));
  kernels::Nf4Args args{};
  args.bf16 = kernels::is_bf16(values);
  args.num_blocks = quantized.absmax.numel();
  args.out = values.mutable_data_ptr();
  // Only read; the same arguments serve both ways.
  args.codes = const_cast<std::uint8_t*>(quantized.codes.const_data_ptr<std::uint8_t>());
  args.absmax = const_cast<float*>(quantized.absmax.const_data_ptr<float>());
  HIGGS_CALL(values, dequantize_nf4, args);
  return values;
}

}  // namespace higgs
