// Whether this build runs under a sanitizer: several times slower, and with memory of its own beside every allocation.
#pragma once

namespace higgs::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kUnderSanitizer = true;
#else
inline constexpr bool kUnderSanitizer = false;
#endif

}  // namespace higgs::test
