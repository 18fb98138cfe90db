// Reading event files back in tests, with a reader that shares nothing with their writer.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/process.h"

namespace higgs::test {

// What read_events.py prints; its text says what that is.
inline nlohmann::json read_events(const fs::path& folder) {
  const ProcessResult result = run_process({"python3", source_dir() / "tests/report/read_events.py", folder});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.exit_code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
}

}  // namespace higgs::test
