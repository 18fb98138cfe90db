// Comparing torch tensors with goldens.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <string>

#include "higgs/formats/safetensors.h"
#include "higgs/model/weights.h"

namespace higgs::test {

// A copy of a stored tensor.
inline at::Tensor load(const SafetensorsFile& file, const std::string& name) {
  const TensorView& view = file.at(name);
  if (view.numel() == 0) return at::empty(view.shape, scalar_type_of(view.dtype));
  auto* data = const_cast<std::byte*>(view.bytes.data());
  return at::from_blob(data, view.shape, scalar_type_of(view.dtype)).clone();
}

// Largest |a - b| relative to the largest |b|.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes() || b.numel() == 0) return a.sizes() == b.sizes() ? 0.0 : 1e30;
  const at::Tensor wide_a = a.detach().to(at::kDouble), wide_b = b.detach().to(at::kDouble);
  const double scale = std::max(wide_b.abs().max().item<double>(), 1e-30);
  return (wide_a - wide_b).abs().max().item<double>() / scale;
}

}  // namespace higgs::test
