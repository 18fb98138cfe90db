#include "support/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace higgs::test {

fs::path source_dir() {
  const char* given = std::getenv("HIGGS_SOURCE_DIR");
  return given != nullptr ? fs::path(given) : fs::current_path();
}

fs::path golden(const std::string& name) {
  return source_dir() / "tests" / "golden" / name;
}

std::optional<fs::path> external(const std::string& name) {
  const char* given = std::getenv("HIGGS_TEST_DATA");
  const fs::path root = given != nullptr ? fs::path(given) : source_dir() / ".." / "shared";
  const fs::path path = root / name;
  if (!fs::exists(path)) return std::nullopt;
  return path;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "higgs_test.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace higgs::test
