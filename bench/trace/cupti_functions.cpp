#if defined(HIGGS_HAS_CUPTI)
#include "cupti_functions.h"

#include <dlfcn.h>

#include <optional>

namespace higgs::trace {
namespace {

std::optional<Cupti> open_cupti() {
  void* const library = ::dlopen("libcupti.so.13", RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) return std::nullopt;
  bool all = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    all = all && function != nullptr;
  };
  Cupti found{};
  find(found.subscribe, "cuptiSubscribe");
  find(found.unsubscribe, "cuptiUnsubscribe");
  find(found.enable_domain, "cuptiEnableDomain");
  find(found.register_buffers, "cuptiActivityRegisterCallbacks");
  find(found.enable_activity, "cuptiActivityEnable");
  find(found.flush, "cuptiActivityFlushAll");
  find(found.next_record, "cuptiActivityGetNextRecord");
  find(found.result_string, "cuptiGetResultString");
  return all ? std::optional(found) : std::nullopt;
}

}  // namespace

const Cupti* cupti() {
  static const std::optional<Cupti> found = open_cupti();
  return found ? &*found : nullptr;
}

const char* cupti_error(CUptiResult result) {
  if (result == CUPTI_SUCCESS) return "";
  const char* text = nullptr;
  if (cupti() == nullptr || cupti()->result_string(result, &text) != CUPTI_SUCCESS) text = nullptr;
  return text != nullptr ? text : "unknown CUPTI error";
}

}  // namespace higgs::trace
#endif
