// Where tests find their files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace higgs::test {

namespace fs = std::filesystem;

// The repository's root: HIGGS_SOURCE_DIR, as ctest sets it, or the working directory.
fs::path source_dir();
// tests/golden/NAME
fs::path golden(const std::string& name);
// Data that is not ours to publish: $HIGGS_TEST_DATA (default ../shared beside the repository), or nothing
// when there is no such path. A test that needs it skips with a reason.
std::optional<fs::path> external(const std::string& name);

// A folder of its own, removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

// What a thrown UserError says; fails the test when nothing, or something else, is thrown.
template <typename Callable>
std::string user_error(Callable callable);

// What a thrown RunError says, "" when none is thrown.
template <typename Callable>
std::string run_error(Callable callable);

}  // namespace higgs::test

#include "support/paths_inl.h"
