#include "tensor_output.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "higgs/formats/safetensors.h"
#include "higgs/model/weights.h"

namespace higgs {

void TensorOutput::add(const std::string& name, const at::Tensor& tensor) {
  tensors_.emplace_back(name, tensor.detach().to(at::kCPU).contiguous());
}

void TensorOutput::add(const std::string& name, const std::vector<std::int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  if (!values.empty())
    std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(std::int64_t));
  tensors_.emplace_back(name, tensor);
}

void TensorOutput::write(const fs::path& path) const {
  std::vector<TensorToWrite> out;
  for (const auto& [name, tensor] : tensors_) {
    out.push_back({name,
                   dtype_of(tensor.scalar_type()),
                   tensor.sizes().vec(),
                   {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(path, std::move(out), metadata_);
}

}  // namespace higgs
