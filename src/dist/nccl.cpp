#include "higgs/dist/nccl.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include "higgs/base/error.h"

#if __has_include(<nccl.h>)
#include <nccl.h>
#define HIGGS_HAS_NCCL
#endif

namespace higgs {

#if defined(HIGGS_HAS_NCCL)

namespace {

struct Library {
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRank) comm_init_rank;
  decltype(&ncclCommAbort) comm_abort;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetLastError) last_error;
};

template <typename Function>
void find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  if (function == nullptr) throw RunError(std::string("libnccl.so.2 has no ") + name);
}

const Library& library() {
  static const Library found = [] {
    void* handle = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      const char* reason = ::dlerror();
      throw RunError(std::string("NCCL can't be opened: ") + (reason != nullptr ? reason : "libnccl.so.2"));
    }
    Library all{};
    find(handle, "ncclGetUniqueId", all.get_unique_id);
    find(handle, "ncclCommInitRank", all.comm_init_rank);
    find(handle, "ncclCommAbort", all.comm_abort);
    find(handle, "ncclAllReduce", all.all_reduce);
    find(handle, "ncclGetErrorString", all.error_string);
    find(handle, "ncclGetLastError", all.last_error);
    return all;
  }();
  return found;
}

void check(ncclResult_t result, ncclComm_t comm, const char* what) {
  if (result == ncclSuccess) return;
  const char* detail = library().last_error(comm);
  throw RunError(std::string("NCCL: ") + what + ": " + library().error_string(result) +
                 (detail != nullptr && *detail != '\0' ? std::string(" (") + detail + ")" : ""));
}

ncclDataType_t nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kLong:
      return ncclInt64;
    default:
      throw RunError("NCCL: no sum of this type");
  }
}

}  // namespace

struct Nccl::Impl {
  ncclComm_t comm = nullptr;
  at::Device device;
};

std::string Nccl::make_id() {
  ncclUniqueId id;
  check(library().get_unique_id(&id), nullptr, "ncclGetUniqueId");
  return std::string(id.internal, sizeof id.internal);
}

Nccl::Nccl(const std::string& bytes, int rank, int world_size, at::Device device)
    : impl_(new Impl{nullptr, device}) {
  ncclUniqueId id;
  HIGGS_ASSERT(bytes.size() == sizeof id.internal);
  bytes.copy(id.internal, sizeof id.internal);
  const c10::DeviceGuard guard(device);
  check(library().comm_init_rank(&impl_->comm, world_size, id, rank), nullptr, "joining the other GPUs");
}

Nccl::~Nccl() {
  // Not ncclCommDestroy: it may wait for ranks that have gone.
  if (impl_->comm != nullptr) library().comm_abort(impl_->comm);
}

void Nccl::sum(at::Tensor& tensor) {
  HIGGS_ASSERT(tensor.device() == impl_->device && tensor.is_contiguous());
  const c10::DeviceGuard guard(impl_->device);
  check(library().all_reduce(tensor.const_data_ptr(), tensor.mutable_data_ptr(),
                             static_cast<std::size_t>(tensor.numel()), nccl_type(tensor.scalar_type()),
                             ncclSum, impl_->comm, /*stream=*/nullptr),
        impl_->comm, "sum over the ranks");
}

#else

struct Nccl::Impl {};

std::string Nccl::make_id() {
  throw RunError("this build has no NCCL: its LibTorch came without CUDA");
}
Nccl::Nccl(const std::string&, int, int, at::Device) {
  make_id();
}
Nccl::~Nccl() = default;
void Nccl::sum(at::Tensor&) {
  make_id();
}

#endif

}  // namespace higgs
