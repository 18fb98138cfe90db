// Errors a user can mend, and checks for what only a programmer can break.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace higgs {

// Longest message of an error, in bytes.
inline constexpr std::size_t kMaxMessage = 2000;

// An error's message is one line. Names out of a file go into it as they are; here line breaks become spaces
// and other control characters '?', so that no file can write a second line or to the terminal, and the
// middle of what is longer than kMaxMessage is left out.
class OneLineError : public std::runtime_error {
 public:
  explicit OneLineError(const std::string& message);
};

// A mistake in flags, configuration or data. The message says what is wrong, in which file (and line), and
// what to do. The program prints it and ends with exit code 2.
class UserError : public OneLineError {
 public:
  using OneLineError::OneLineError;
};

// The run failed through no mistake in its inputs (a full disk, say). Exit code 1.
class RunError : public OneLineError {
 public:
  using OneLineError::OneLineError;
};

// The user stopped the program before there was anything to save. Exit code 143.
class Stopped : public OneLineError {
 public:
  using OneLineError::OneLineError;
};

namespace detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace detail

}  // namespace higgs

// For what can only be a mistake in this program, never in its inputs; stays on in release builds.
#define HIGGS_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::higgs::detail::assertion_failed(#condition, __FILE__, __LINE__))
