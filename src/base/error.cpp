#include "higgs/base/error.h"

#include <cstdio>
#include <cstdlib>

#include "higgs/base/live_line.h"

namespace higgs {
namespace {

std::string one_line(std::string text) {
  constexpr std::size_t kHalf = kMaxMessage / 2 - 8;
  if (text.size() > kMaxMessage) text.replace(kHalf, text.size() - 2 * kHalf, " [...] ");
  for (char& c : text) {
    const bool space = c == '\n' || c == '\r' || c == '\t';
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = space ? ' ' : '?';
  }
  return text;
}

}  // namespace

OneLineError::OneLineError(const std::string& message) : std::runtime_error(one_line(message)) {}

}  // namespace higgs

namespace higgs::detail {

void assertion_failed(const char* expression, const char* file, int line) {
  log::end_live_line();
  std::fprintf(stderr, "higgs_train: internal error: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace higgs::detail
