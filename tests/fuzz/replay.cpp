// Replays the seeds and past crashers of the fuzz targets, then damages each seed in ways that are the same
// every time: `fuzz_replay [--mutations N] [TARGET...]`, or `fuzz_replay TARGET FILE...` for given files.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "fuzz_target.h"
#include "mutate.h"

namespace higgs::fuzz {
namespace {

namespace fs = std::filesystem;

char current[512];  // what runs now, for the handler

void say_where(int signal) {
  const char begin[] = "fuzz: fault in ";
  (void)!::write(2, begin, sizeof begin - 1);
  (void)!::write(2, current, std::strlen(current));
  (void)!::write(2, "\n", 1);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.good(), "cannot read", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void run(const std::string& target, const std::string& bytes, const std::string& what) {
  std::snprintf(current, sizeof current, "%s: %s", target.c_str(), what.c_str());
  targets().at(target)(bytes);
}

// How many inputs.
std::size_t replay(const std::string& target, const fs::path& root, std::size_t mutations) {
  std::size_t count = 0;
  const std::vector<fs::path> seeds = files_in(root / "seeds" / target);
  require(!seeds.empty(), "no seeds", target);
  for (const auto& files : {seeds, files_in(root / "crashers" / target)}) {
    for (const fs::path& file : files) {
      run(target, content(file), file.string());
      ++count;
    }
  }
  Mutator mutator(20250607);
  for (const fs::path& seed : seeds) {
    const std::string bytes = content(seed);
    for (std::size_t i = 0; i < mutations; ++i) {
      run(target, mutator.damaged(bytes), seed.string() + ", mutation " + std::to_string(i));
      ++count;
    }
  }
  return count;
}

int main_of(std::vector<std::string> arguments) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL}) ::signal(signal, say_where);
  std::size_t mutations = 0;
  if (arguments.size() >= 2 && arguments[0] == "--mutations") {
    mutations = std::stoul(arguments[1]);
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  for (const std::string& name : arguments) {
    if (&name == arguments.data() || targets().count(name) != 0) {
      require(targets().count(name) != 0, "no such target", name);
    } else {
      run(arguments[0], content(name), name);
    }
  }
  if (arguments.size() > 1 && targets().count(arguments[1]) == 0) return 0;
  if (arguments.empty()) {
    for (const auto& [name, target] : targets()) arguments.push_back(name);
  }
  const char* source = std::getenv("HIGGS_SOURCE_DIR");
  const fs::path root = fs::path(source != nullptr ? source : ".") / "tests" / "fuzz";
  for (const std::string& name : arguments) {
    std::cout << name << ": " << replay(name, root, mutations) << " inputs" << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace higgs::fuzz

int main(int argc, char** argv) {
  return higgs::fuzz::main_of({argv + 1, argv + argc});
}
