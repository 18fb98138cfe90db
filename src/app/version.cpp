#include "higgs/app/version.h"

namespace higgs {

const char* version() {
  return HIGGS_VERSION;
}

}  // namespace higgs
