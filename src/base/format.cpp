#include "higgs/base/format.h"

#include <cstdio>

namespace higgs {

std::string formatted(const char* format, double value) {
  char text[96];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace higgs
