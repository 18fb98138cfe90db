#include "higgs/model/weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/model/layout.h"

namespace higgs {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

at::ScalarType scalar_type_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return at::kBool;
    case DType::kU8:
      return at::kByte;
    case DType::kI8:
      return at::kChar;
    case DType::kI16:
      return at::kShort;
    case DType::kI32:
      return at::kInt;
    case DType::kI64:
      return at::kLong;
    case DType::kF16:
      return at::kHalf;
    case DType::kBF16:
      return at::kBFloat16;
    case DType::kF32:
      return at::kFloat;
    case DType::kF64:
      return at::kDouble;
    case DType::kU64:
      break;
  }
  throw UserError("a tensor of type " + std::string(name_of(dtype)) + " is not supported");
}

DType dtype_of(at::ScalarType type) {
  for (const DType dtype : {DType::kBool, DType::kU8, DType::kI8, DType::kI16, DType::kI32, DType::kI64,
                            DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    if (scalar_type_of(dtype) == type) return dtype;
  }
  throw UserError("a tensor of this type cannot be stored");
}

at::Tensor view_of(const TensorView& view, std::shared_ptr<const SafetensorsFile> owner) {
  const auto options = at::TensorOptions(scalar_type_of(view.dtype));
  if (view.bytes.empty()) return at::from_blob(nullptr, view.shape, options);
  // from_blob wants a mutable pointer; the mapping is read-only, so a write would fault rather than corrupt.
  auto* data = const_cast<std::byte*>(view.bytes.data());
  // Tensors in a file may lie at any byte; an aligned one is used in place.
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(view.dtype) != 0) {
    const at::Tensor bytes = at::from_blob(data, {static_cast<std::int64_t>(view.bytes.size())}, at::kByte);
    return bytes.clone().view(options.dtype().toScalarType()).view(view.shape);
  }
  return at::from_blob(
      data, view.shape, [owner = std::move(owner)](void*) {}, options);
}

WeightSource::WeightSource(const fs::path& folder, Layout layout, at::ScalarType dtype, at::Device device,
                           bool quantize)
    : files_(folder), layout_(layout), dtype_(dtype), device_(device), quantize_(quantize) {}

std::string WeightSource::where(const std::string& name) const {
  return files_.folder().string() + ": tensor '" + name + "'";
}

at::Tensor WeightSource::view(const std::string& name) {
  const TensorView& view = files_.tensors().at(name);
  taken_.insert(name);
  if (!at::isFloatingType(scalar_type_of(view.dtype)))
    throw UserError(where(name) + " must hold floating point numbers");
  return view_of(view, files_.file_of(name));
}

at::Tensor WeightSource::joined(const std::string& name, at::IntArrayRef shape) {
  for (const char* kind : {"embedding", "linear"}) {
    const auto parts = split_names(layout_, name, kind);
    if (!parts || !(files_.contains(parts->first) || files_.contains(parts->second))) continue;
    for (const std::string& part : {parts->first, parts->second}) {
      if (!files_.contains(part)) throw UserError(where(part) + " is missing: its other part is there");
    }
    const at::Tensor first = view(parts->first), second = view(parts->second);
    if (first.dim() != 2 || second.dim() != 2 || first.size(1) != second.size(1) ||
        at::IntArrayRef({first.size(0) + second.size(0), first.size(1)}) != shape ||
        first.scalar_type() != second.scalar_type()) {
      throw UserError(where(parts->first) + " of " + shape_text(first.sizes()) +
                      " and its trainable part of " + shape_text(second.sizes()) +
                      " do not make the tensor of " + shape_text(shape) + " that config.json asks for");
    }
    return at::cat({first, second});
  }
  return {};
}

at::Tensor WeightSource::stored(const std::string& name, at::IntArrayRef shape) {
  at::Tensor parts = joined(name, shape);
  if (!files_.contains(name)) return parts;
  at::Tensor whole = view(name);
  if (whole.sizes() != shape) {
    throw UserError(where(name) + " has shape " + shape_text(whole.sizes()) + ", config.json asks for " +
                    shape_text(shape));
  }
  if (parts.defined() && !parts.equal(whole))
    throw UserError(where(name) + " is stored in two parts as well, with other values");
  return whole;
}

at::Tensor WeightSource::take_if_present(const std::string& canonical, at::IntArrayRef shape) {
  const std::string name = stored_name(layout_, canonical);
  at::Tensor found = stored(name, shape);
  for (const std::string& other : other_names(layout_, canonical)) {
    at::Tensor duplicate = stored(other, shape);
    if (found.defined() && duplicate.defined() && !duplicate.equal(found)) {
      throw UserError(where(other) + " differs from '" + name + "', which it should repeat");
    }
    if (!found.defined()) found = std::move(duplicate);
  }
  return found.defined() ? found.to(at::TensorOptions(dtype_).device(device_)) : found;
}

at::Tensor WeightSource::take(const std::string& canonical, at::IntArrayRef shape) {
  at::Tensor tensor = take_if_present(canonical, shape);
  if (!tensor.defined()) {
    throw UserError(files_.folder().string() + ": tensor '" + stored_name(layout_, canonical) +
                    "' is missing; is config.json of another model?");
  }
  return tensor;
}

void WeightSource::expect_all_taken() const {
  std::string names;
  std::size_t count = 0;
  for (const auto& tensor : files_.tensors()) {
    const std::string& name = tensor.first;
    if (taken_.count(name) != 0 || is_ignored(layout_, name)) continue;
    if (std::ranges::any_of(ignored_, [&](const auto& prefix) { return name.starts_with(prefix); })) continue;
    if (++count <= 3) names += (names.empty() ? "" : ", ") + name;
  }
  if (count != 0) {
    throw UserError(files_.folder().string() + ": " + std::to_string(count) +
                    " tensors this model has no place for (" + names + (count > 3 ? ", ..." : "") +
                    "); is config.json of another model?");
  }
}

}  // namespace higgs
