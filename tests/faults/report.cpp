#include "report.h"

#include <cstdio>
#include <ctime>
#include <fstream>

#include "higgs/base/hash.h"
#include "support/process.h"

namespace higgs::test {
namespace {

std::string output_of(const std::vector<std::string>& command) {
  const ProcessResult result = run_process(command);
  if (result.exit_code != 0) return "";
  return result.out;
}

// The commit that the sources are at, "-dirty" behind it when they hold more.
std::string commit() {
  const std::vector<std::string> git = {"git", "-C", source_dir().string()};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), git.begin(), git.end());
    return words;
  };
  std::string hash = output_of(with({"rev-parse", "--short=8", "HEAD"}));
  if (hash.empty()) return "unknown";
  hash.erase(hash.find_last_not_of('\n') + 1);
  const std::string changes = output_of(
      with({"status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)tests/*/log.jsonl"}));
  return changes.empty() ? hash : hash + "-dirty";
}

std::string today() {
  char text[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

}  // namespace

Report::Report(const Options& options) : options_(options) {
  std::printf("%s: seed %llu, %s\n", options.program.c_str(), static_cast<unsigned long long>(options.seed),
              options.binary.c_str());
}

void Report::say(const std::string& line) const {
  std::printf("  %s\n", line.c_str());
}

void Report::fail(const std::string& what) {
  ++num_failures_;
  std::printf("FAILED: %s\n", what.c_str());
}

bool Report::check(bool holds, const std::string& what) {
  if (!holds) fail(what);
  return holds;
}

void Report::skip(const std::string& what) {
  skipped_.push_back(what);
  std::printf("skipped: %s\n", what.c_str());
}

int Report::finish() {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  nlohmann::ordered_json line = {{"program", options_.program},
                                 {"commit", commit()},
                                 {"date", today()},
                                 {"binary", Hasher().update(text_of(options_.binary)).hex().substr(0, 8)},
                                 {"seed", options_.seed},
                                 {"ranks", options_.ranks}};
  line.update(figures);
  line["failures"] = num_failures_;
  if (!skipped_.empty()) line["skipped"] = skipped_;
  line["seconds"] = static_cast<int>(seconds + 0.5);
  std::printf("%s\n", line.dump().c_str());
  if (!options_.log.empty()) {
    std::ofstream file(options_.log, std::ios::app);
    file << line.dump() << std::endl;
    if (!file) {
      std::fprintf(stderr, "%s: cannot be written\n", options_.log.c_str());
      return 1;
    }
  }
  return num_failures_ == 0 ? 0 : 1;
}

}  // namespace higgs::test
