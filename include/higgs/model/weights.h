// A checkpoint's tensors handed to the model's modules as they are built, each checked for its shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "higgs/formats/checkpoint_files.h"
#include "higgs/model/config.h"

namespace higgs {

class WeightSource {
 public:
  // `quantize`: linear maps shall be kept in four bits (model/frozen_weight.h); nothing here does it.
  WeightSource(const fs::path& folder, Layout layout, at::ScalarType dtype, at::Device device,
               bool quantize = false);

  // The tensor with this canonical name, in the requested dtype and on the device. When nothing has to change
  // it is a view of the mapped file: never write to it. UserError when it is missing or has another shape. In
  // boson's layout it may also be stored in two parts, or twice (model/layout.h); values that differ are an
  // error.
  at::Tensor take(const std::string& canonical, at::IntArrayRef shape);
  // Undefined when the checkpoint has none.
  at::Tensor take_if_present(const std::string& canonical, at::IntArrayRef shape);
  // Tensors whose names begin so are left alone.
  void ignore(const std::string& prefix) { ignored_.push_back(prefix); }
  bool quantize() const { return quantize_; }
  // UserError naming tensors that nothing took: a checkpoint of another model.
  void expect_all_taken() const;

 private:
  // As stored, under this name or in parts; undefined when there is none.
  at::Tensor stored(const std::string& name, at::IntArrayRef shape);
  at::Tensor joined(const std::string& name, at::IntArrayRef shape);
  at::Tensor view(const std::string& name);
  std::string where(const std::string& name) const;

  CheckpointFiles files_;
  Layout layout_;
  at::ScalarType dtype_;
  at::Device device_;
  bool quantize_;
  std::set<std::string> taken_;
  std::vector<std::string> ignored_;
};

// View of mapped bytes; `owner` keeps the mapping alive.
at::Tensor view_of(const TensorView& view, std::shared_ptr<const SafetensorsFile> owner);

// at::ScalarType of a stored type, and back (UserError for what has no counterpart).
at::ScalarType scalar_type_of(DType dtype);
DType dtype_of(at::ScalarType type);

}  // namespace higgs
