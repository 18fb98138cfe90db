// Comparing torch tensors with goldens.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "higgs/formats/safetensors.h"
#include "higgs/model/weights.h"
#include "support/closeness.h"

namespace higgs::test {

// A copy of a stored tensor. Signed integers come as int64, whatever their width in the file.
inline at::Tensor load(const SafetensorsFile& file, const std::string& name) {
  const TensorView& view = file.at(name);
  const at::ScalarType stored = scalar_type_of(view.dtype);
  const at::ScalarType type =
      at::isIntegralType(stored, /*includeBool=*/false) && stored != at::kByte ? at::kLong : stored;
  if (view.numel() == 0) return at::empty(view.shape, type);
  auto* data = const_cast<std::byte*>(view.bytes.data());
  return at::from_blob(data, view.shape, stored).to(type, /*non_blocking=*/false, /*copy=*/true);
}

// Contiguous CPU tensors as a safetensors file.
inline void store(const fs::path& path, const std::map<std::string, at::Tensor>& tensors) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) {
    list.push_back({name,
                    dtype_of(tensor.scalar_type()),
                    tensor.sizes().vec(),
                    {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(path, list);
}

// Largest |a - b| relative to the largest |b|.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes() || b.numel() == 0) return a.sizes() == b.sizes() ? 0.0 : 1e30;
  const at::Tensor wide_a = a.detach().to(at::kDouble), wide_b = b.detach().to(at::kDouble);
  const double scale = std::max(wide_b.abs().max().item<double>(), 1e-30);
  return (wide_a - wide_b).abs().max().item<double>() / scale;
}

// Compares by relative_difference; a failure names the place of the largest difference.
inline ::testing::AssertionResult close(const at::Tensor& ours, const at::Tensor& theirs,
                                        const Tolerance& tolerance, const std::string& what) {
  ::testing::AssertionResult result = within(relative_difference(ours, theirs), tolerance, what);
  if (result || ours.sizes() != theirs.sizes()) return result;
  const at::Tensor distance = (ours.detach().to(at::kDouble) - theirs.to(at::kDouble)).abs().flatten();
  const std::int64_t at = distance.argmax().item<std::int64_t>();
  std::ostringstream shape;
  shape << ours.sizes();
  return result << "; largest at element " << at << " of " << shape.str();
}

// Golden NAME, or the every N-th row of it that the repository keeps as NAME_rows_every_Nth, against all
// rows.
inline ::testing::AssertionResult close_rows(const at::Tensor& ours, const SafetensorsFile& want,
                                             const std::string& name, const Tolerance& tolerance) {
  const std::string mark = name + "_rows_every_";
  const auto cut = want.tensors().lower_bound(mark);
  if (cut == want.tensors().end() || cut->first.rfind(mark, 0) != 0) {
    return close(ours, load(want, name), tolerance, name);
  }
  const std::int64_t step = std::stoll(cut->first.substr(mark.size()));
  return close(ours.slice(0, 0, ours.size(0), step), load(want, cut->first), tolerance, name);
}

}  // namespace higgs::test
