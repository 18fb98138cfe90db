#include "higgs/train/host_copy.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "higgs/base/error.h"

namespace higgs {

HostCopy::HostCopy(const at::Tensor& values) {
  HIGGS_ASSERT(values.scalar_type() == at::kDouble);
  if (values.is_cpu()) {
    host_ = values.clone();
    return;
  }
  // Only into pinned memory does a copy run beside the rest.
  host_ = at::empty(values.sizes(), at::TensorOptions(at::kDouble).pinned_memory(true));
  host_.copy_(values, /*non_blocking=*/true);
  copied_.emplace(values.device().type());
  copied_->record(c10::impl::VirtualGuardImpl(values.device().type()).getStream(values.device()));
}

const double* HostCopy::wait() {
  if (copied_) copied_->synchronize();
  return host_.const_data_ptr<double>();
}

}  // namespace higgs
