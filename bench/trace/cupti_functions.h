// CUPTI's functions that are used here, looked up at run time: libcupti is in the process wherever LibTorch
// has CUDA.
#pragma once

#include <cupti.h>

namespace higgs::trace {

struct Cupti {
  decltype(&cuptiSubscribe) subscribe;
  decltype(&cuptiUnsubscribe) unsubscribe;
  decltype(&cuptiEnableDomain) enable_domain;
  decltype(&cuptiActivityRegisterCallbacks) register_buffers;
  decltype(&cuptiActivityEnable) enable_activity;
  decltype(&cuptiActivityFlushAll) flush;
  decltype(&cuptiActivityGetNextRecord) next_record;
  decltype(&cuptiGetResultString) result_string;
};

// Null where there is no libcupti, or one of another kind.
const Cupti* cupti();

// "" for success.
const char* cupti_error(CUptiResult result);

}  // namespace higgs::trace
