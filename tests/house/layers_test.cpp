// The rules of the house, read from the sources: includes point downward, files stay short, `.cu` files know
// no torch.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/paths.h"

namespace higgs::test {
namespace {

// Each layer with the layers it may include besides itself; the order and the dependencies of CMakeLists.txt.
const std::map<std::string, std::set<std::string>>& allowed_includes() {
  static const std::map<std::string, std::set<std::string>> table = [] {
    std::map<std::string, std::set<std::string>> allowed = {{"base", {}},
                                                            {"text", {"base"}},
                                                            {"audio", {"base"}},
                                                            {"corpus", {"base", "text", "audio"}},
                                                            {"formats", {"base"}}};
    std::set<std::string> below = {"base", "text", "audio", "corpus", "formats"};
    for (const char* layer : {"kernels", "codec", "data", "model", "dist", "train", "report", "app"}) {
      allowed[layer] = below;
      below.insert(layer);
    }
    allowed["kernels"] = {"base"};
    return allowed;
  }();
  return table;
}

// "" when `from` may include `to`, else why not.
std::string include_fault(const std::string& from, const std::string& to) {
  if (from == to) return "";
  if (allowed_includes().count(to) == 0) return "'" + to + "' is no layer";
  const auto found = allowed_includes().find(from);
  if (found == allowed_includes().end()) return "'" + from + "' is no layer";
  return found->second.count(to) != 0 ? "" : "'" + from + "' may not include '" + to + "'";
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The path named by an #include line, "" for any other line.
std::string included(const std::string& line) {
  static const std::regex pattern(R"(^\s*#\s*include\s*["<]([^">]+)[">])");
  std::smatch match;
  return std::regex_search(line, match, pattern) ? match[1].str() : "";
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> extensions = {".h", ".cpp", ".cu", ".cuh"};
  return extensions.count(path.extension().string()) != 0;
}

// Every source below src/ and include/higgs/, as the path relative to either: "base/file.cpp".
std::map<fs::path, std::string> sources() {
  std::map<fs::path, std::string> found;
  for (const fs::path& root : {source_dir() / "src", source_dir() / "include" / "higgs"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_regular_file() && is_source(entry.path())) {
        found[entry.path()] = fs::relative(entry.path(), root).generic_string();
      }
    }
  }
  return found;
}

std::string first_folder(const std::string& path) {
  const auto slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// The layer an include names, "" when it names no header of ours. Private headers beside the sources count
// too.
std::string included_layer(const std::string& name) {
  if (name.rfind("higgs/", 0) == 0) return first_folder(name.substr(6));
  const std::string folder = first_folder(name);
  return allowed_includes().count(folder) != 0 ? folder : "";
}

TEST(Layers, AnIncludeOfAHigherLayerIsAFault) {
  EXPECT_EQ(include_fault("base", "base"), "");
  EXPECT_EQ(include_fault("train", "model"), "");
  EXPECT_EQ(include_fault("codec", "audio"), "");
  EXPECT_NE(include_fault("model", "train"), "");
  EXPECT_NE(include_fault("text", "audio"), "");
  EXPECT_NE(include_fault("audio", "text"), "");
  EXPECT_NE(include_fault("text", "formats"), "");
  EXPECT_NE(include_fault("base", "formats"), "");
  EXPECT_NE(include_fault("model", "nowhere"), "");
}

TEST(Layers, EveryIncludePointsDownward) {
  int num_includes = 0;
  for (const auto& [path, name] : sources()) {
    if (name == "main.cpp") continue;
    const std::string layer = first_folder(name);
    ASSERT_EQ(allowed_includes().count(layer), 1u) << path << " lies in no layer";
    const auto lines = lines_of(path);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string target = included_layer(included(lines[i]));
      if (target.empty()) continue;
      ++num_includes;
      EXPECT_EQ(include_fault(layer, target), "") << path.string() << ":" << i + 1 << ": " << lines[i];
    }
  }
  EXPECT_GT(num_includes, 10) << "the sources were not found";
}

// fmt and nlohmann/json reach every layer; LibTorch must not reach the ones that the torch-free tests stand
// on.
TEST(Layers, TheLayersBelowTheKernelsKnowNoTorch) {
  static const std::set<std::string> torch_free = {"base", "text", "audio", "corpus", "formats"};
  for (const auto& [path, name] : sources()) {
    const std::string layer = first_folder(name);
    if (torch_free.count(layer) == 0) continue;
    for (const std::string& line : lines_of(path)) {
      const std::string folder = first_folder(included(line));
      EXPECT_TRUE(folder != "torch" && folder != "ATen" && folder != "c10") << path.string() << ": " << line;
    }
  }
}

TEST(Layers, CudaFilesTakePlainPointersAndKnowNoTorch) {
  for (const auto& [path, name] : sources()) {
    if (path.extension() != ".cu" && path.extension() != ".cuh") continue;
    for (const std::string& line : lines_of(path)) {
      const std::string folder = first_folder(included(line));
      EXPECT_TRUE(folder != "torch" && folder != "ATen" && folder != "c10") << path.string() << ": " << line;
    }
  }
}

TEST(Layers, MainStaysUnder60Lines) {
  const auto lines = lines_of(source_dir() / "src" / "main.cpp");
  EXPECT_GT(lines.size(), 0u);
  EXPECT_LT(lines.size(), 60u);
}

TEST(Layers, NoFileExceeds400Lines) {
  for (const auto& [path, name] : sources()) {
    EXPECT_LE(lines_of(path).size(), 400u) << path.string() << ": split it";
  }
}

// The order above must be the one that is built: a layer whose CMake target names another may include it.
TEST(Layers, CMakeNamesTheSameLayers) {
  static const std::regex pattern(R"(^higgs_layer\((\w+)\s+DEPS([^)]*)\))");
  std::set<std::string> built;
  for (const std::string& line : lines_of(source_dir() / "CMakeLists.txt")) {
    std::smatch match;
    if (!std::regex_search(line, match, pattern)) continue;
    built.insert(match[1].str());
    static const std::regex dependency(R"(higgs::(\w+))");
    const std::string words = match[2].str();
    for (std::sregex_iterator it(words.begin(), words.end(), dependency), end; it != end; ++it) {
      EXPECT_EQ(include_fault(match[1].str(), (*it)[1].str()), "") << line;
    }
  }
  std::set<std::string> named;
  for (const auto& [layer, below] : allowed_includes()) named.insert(layer);
  EXPECT_EQ(built, named);
}

}  // namespace
}  // namespace higgs::test
