// Stands in front of libcupti.so.13 for host_waits_test.cpp: calls are told to whoever subscribed as CUPTI
// tells them, on a machine without a GPU. Places with an odd address count as pageable memory.
#include <cuda_runtime_api.h>
#include <cupti.h>

#include <cstring>

namespace {

CUpti_CallbackFunc callback = nullptr;
bool enabled[CUPTI_CB_DOMAIN_SIZE] = {};
CUpti_BuffersCallbackRequestFunc request = nullptr;
CUpti_BuffersCallbackCompleteFunc complete = nullptr;

// Two records, one behind the other.
struct Records {
  CUpti_ActivityKernel10 kernel;
  CUpti_ActivityMemcpy6 copy;
};

}  // namespace

extern "C" {

CUptiResult cuptiSubscribe(CUpti_SubscriberHandle* subscriber, CUpti_CallbackFunc function, void*) {
  if (callback != nullptr) return CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
  callback = function;
  *subscriber = reinterpret_cast<CUpti_SubscriberHandle>(&callback);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiUnsubscribe(CUpti_SubscriberHandle) {
  callback = nullptr;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiEnableDomain(uint32_t enable, CUpti_SubscriberHandle, CUpti_CallbackDomain domain) {
  enabled[domain] = enable != 0;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc give,
                                           CUpti_BuffersCallbackCompleteFunc take) {
  request = give;
  complete = take;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind) {
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityFlushAll(uint32_t) {
  uint8_t* buffer = nullptr;
  size_t size = 0, most = 0;
  request(&buffer, &size, &most);
  Records records{};
  records.kernel.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  records.kernel.name = "a_kernel";
  records.kernel.start = 100;
  records.kernel.end = 350;
  records.copy.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
  records.copy.copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_DTOH;
  records.copy.start = 400;
  records.copy.end = 410;
  records.copy.bytes = 64;
  std::memcpy(buffer, &records, sizeof records);
  complete(nullptr, 0, buffer, size, sizeof records);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t, CUpti_Activity** record) {
  auto* const records = reinterpret_cast<Records*>(buffer);
  auto* const first = reinterpret_cast<CUpti_Activity*>(&records->kernel);
  auto* const second = reinterpret_cast<CUpti_Activity*>(&records->copy);
  if (*record == second) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = *record == nullptr ? first : second;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetResultString(CUptiResult, const char** text) {
  *text = "said by the fake";
  return CUPTI_SUCCESS;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* place) {
  attributes->type =
      reinterpret_cast<uintptr_t>(place) % 2 == 1 ? cudaMemoryTypeUnregistered : cudaMemoryTypeHost;
  return cudaSuccess;
}

// A thread begins (enters) or ends a call.
void fake_call(int of_runtime, int enters, const char* name, const void* params) {
  const CUpti_CallbackDomain domain =
      of_runtime != 0 ? CUPTI_CB_DOMAIN_RUNTIME_API : CUPTI_CB_DOMAIN_DRIVER_API;
  if (callback == nullptr || !enabled[domain]) return;
  CUpti_CallbackData data{};
  data.callbackSite = enters != 0 ? CUPTI_API_ENTER : CUPTI_API_EXIT;
  data.functionName = name;
  data.functionParams = params;
  callback(nullptr, domain, 0, &data);
}

void fake_copy(const void* from, void* to) {
  cudaMemcpyAsync_v3020_params copy{};
  copy.src = from;
  copy.dst = to;
  fake_call(1, 1, "cudaMemcpyAsync_ptsz", &copy);
  fake_call(1, 0, "cudaMemcpyAsync_ptsz", &copy);
}

}  // extern "C"
