#include "call_names.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace higgs::trace {
namespace {

using Names = std::initializer_list<std::string_view>;

bool is_one_of(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool ends_with_version(std::string_view name, std::size_t mark) {
  return mark + 2 < name.size() && name[mark + 1] == 'v' &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(mark) + 2, name.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

std::string plain_name(std::string_view name) {
  for (;;) {
    const std::size_t mark = name.rfind('_');
    if (mark == std::string_view::npos) return std::string(name);
    const std::string_view suffix = name.substr(mark);
    if (!is_one_of(suffix, {"_ptsz", "_ptds"}) && !ends_with_version(name, mark)) return std::string(name);
    name.remove_suffix(suffix.size());
  }
}

bool waits_for_device(std::string_view plain) {
  return is_one_of(plain, {"cudaDeviceSynchronize",
                           "cudaThreadSynchronize",
                           "cudaStreamSynchronize",
                           "cudaEventSynchronize",
                           "cudaMemcpy",
                           "cudaMemcpy2D",
                           "cudaMemcpy3D",
                           "cudaMemcpyPeer",
                           "cudaMemcpyToSymbol",
                           "cudaMemcpyFromSymbol",
                           "cudaFree",
                           "cudaFreeHost",
                           "cudaHostUnregister",
                           "cuCtxSynchronize",
                           "cuStreamSynchronize",
                           "cuEventSynchronize",
                           "cuMemcpy",
                           "cuMemcpyDtoH",
                           "cuMemcpyHtoD",
                           "cuMemcpyDtoD",
                           "cuMemcpy2D",
                           "cuMemcpy3D",
                           "cuMemcpyPeer",
                           "cuMemFree",
                           "cuMemFreeHost",
                           "cuMemHostUnregister"});
}

bool allocates(std::string_view plain) {
  return is_one_of(plain, {"cudaMalloc", "cudaHostAlloc", "cudaMallocHost", "cudaHostRegister", "cuMemAlloc",
                           "cuMemHostAlloc", "cuMemAllocHost", "cuMemHostRegister", "cuMemCreate"});
}

bool copies_beside_host(std::string_view plain) {
  return plain == "cudaMemcpyAsync";
}

}  // namespace higgs::trace
