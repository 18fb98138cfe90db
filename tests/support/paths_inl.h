#pragma once

#include <gtest/gtest.h>

#include "higgs/base/error.h"

namespace higgs::test {

template <typename Callable>
std::string user_error(Callable callable) {
  try {
    callable();
  } catch (const UserError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no UserError was thrown";
  return "";
}

template <typename Callable>
std::string run_error(Callable callable) {
  try {
    callable();
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

}  // namespace higgs::test
