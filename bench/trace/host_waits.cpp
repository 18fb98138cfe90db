#include "host_waits.h"

#if !defined(HIGGS_HAS_CUPTI)

namespace higgs::trace {

HostWaits::HostWaits() : fault_("this build knows no CUPTI (cupti.h was not found)") {}
HostWaits::~HostWaits() = default;
void HostWaits::reset() {}
CallCounts HostWaits::waits() const {
  return {};
}
CallCounts HostWaits::allocations() const {
  return {};
}

}  // namespace higgs::trace

#else

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "call_names.h"
#include "cupti_functions.h"

namespace higgs::trace {
namespace {

struct State {
  std::mutex mutex;
  CallCounts waits, allocations;
  std::vector<std::pair<const void*, const void*> > copies;  // from, to
};

// Never destroyed: threads may still make calls when the process ends.
State& state() {
  static State* const all = new State;
  return *all;
}

// Runtime calls that this thread is in: what they ask of the driver is counted as theirs.
thread_local int depth = 0;

enum class Kind { kOther, kWait, kAllocation, kCopyBesideHost };

Kind kind_of(const std::string& name) {
  if (waits_for_device(name)) return Kind::kWait;
  if (allocates(name)) return Kind::kAllocation;
  return copies_beside_host(name) ? Kind::kCopyBesideHost : Kind::kOther;
}

void note(const CUpti_CallbackData& call, bool of_runtime) {
  // Names are constants of CUPTI's: the same function, the same pointer. There are thousands of launches a
  // step.
  thread_local std::unordered_map<const char*, Kind> known;
  const auto [entry, is_new] = known.try_emplace(call.functionName, Kind::kOther);
  if (is_new) entry->second = kind_of(plain_name(call.functionName));
  if (entry->second == Kind::kOther) return;
  State& all = state();
  const std::lock_guard lock(all.mutex);
  if (entry->second == Kind::kCopyBesideHost) {
    if (!of_runtime || call.functionParams == nullptr) return;
    const auto& copy = *static_cast<const cudaMemcpyAsync_v3020_params*>(call.functionParams);
    all.copies.emplace_back(copy.src, copy.dst);
  } else {
    ++(entry->second == Kind::kWait ? all.waits : all.allocations)[plain_name(call.functionName)];
  }
}

void CUPTIAPI on_call(void*, CUpti_CallbackDomain domain, CUpti_CallbackId, const void* data) {
  const auto& call = *static_cast<const CUpti_CallbackData*>(data);
  const bool enters = call.callbackSite == CUPTI_API_ENTER;
  const bool of_runtime = domain == CUPTI_CB_DOMAIN_RUNTIME_API;
  if (!of_runtime && domain != CUPTI_CB_DOMAIN_DRIVER_API) return;
  if (of_runtime && !enters) {
    if (depth > 0) --depth;
    return;
  }
  if (!enters) return;
  if (depth == 0) note(call, of_runtime);
  if (of_runtime) ++depth;
}

bool is_pageable(const void* place) {
  using Ask = cudaError_t (*)(cudaPointerAttributes*, const void*);
  static const auto ask = reinterpret_cast<Ask>(::dlsym(RTLD_DEFAULT, "cudaPointerGetAttributes"));
  cudaPointerAttributes attributes{};
  return ask != nullptr && ask(&attributes, place) == cudaSuccess &&
         attributes.type == cudaMemoryTypeUnregistered;
}

}  // namespace

HostWaits::HostWaits() {
  if (cupti() == nullptr) {
    fault_ = "libcupti.so.13 can't be opened";
    return;
  }
  CUpti_SubscriberHandle subscriber = nullptr;
  CUptiResult result = cupti()->subscribe(&subscriber, on_call, nullptr);
  if (result == CUPTI_SUCCESS) {
    subscriber_ = subscriber;
    reset();
  }
  for (const CUpti_CallbackDomain domain : {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_CB_DOMAIN_DRIVER_API}) {
    if (result == CUPTI_SUCCESS) result = cupti()->enable_domain(1, subscriber, domain);
  }
  if (result != CUPTI_SUCCESS) fault_ = std::string("CUPTI: ") + cupti_error(result);
}

HostWaits::~HostWaits() {
  if (subscriber_ != nullptr) cupti()->unsubscribe(static_cast<CUpti_SubscriberHandle>(subscriber_));
}

void HostWaits::reset() {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  all.waits.clear();
  all.allocations.clear();
  all.copies.clear();
}

CallCounts HostWaits::waits() const {
  State& all = state();
  CallCounts counts;
  std::vector<std::pair<const void*, const void*> > copies;
  {
    const std::lock_guard lock(all.mutex);
    counts = all.waits;
    copies = all.copies;
  }
  long pageable = 0;
  for (const auto& [from, to] : copies) pageable += is_pageable(from) || is_pageable(to) ? 1 : 0;
  if (pageable > 0) counts[kPageableCopy] = pageable;
  return counts;
}

CallCounts HostWaits::allocations() const {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  return all.allocations;
}

}  // namespace higgs::trace

#endif
