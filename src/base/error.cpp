#include "higgs/base/error.h"

#include <cstdio>
#include <cstdlib>

namespace higgs::detail {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "higgs_train: internal error: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace higgs::detail
