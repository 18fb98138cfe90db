// What documents name exists: every flag, every command, every message that docs/troubleshooting.md quotes.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/paths.h"

namespace higgs::test {
namespace {

std::string text_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// README.md, CONTRIBUTING.md and docs/*.md, but for docs/flags.md, which the program prints itself.
std::vector<fs::path> documents() {
  std::vector<fs::path> found = {source_dir() / "README.md", source_dir() / "CONTRIBUTING.md"};
  for (const auto& entry : fs::directory_iterator(source_dir() / "docs")) {
    if (entry.path().extension() == ".md" && entry.path().filename() != "flags.md")
      found.push_back(entry.path());
  }
  return found;
}

// Flags of each command, out of docs/flags.md (ctest app, Help: it is the program's own output).
std::map<std::string, std::set<std::string>> flags_of_commands() {
  static const std::regex heading(R"(^## higgs_train (\w+))"), row(R"(^\| `--(\w+))");
  std::map<std::string, std::set<std::string>> table;
  std::istringstream lines(text_of_file(source_dir() / "docs/flags.md"));
  std::string command;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, heading)) {
      command = match[1];
      table[command] = {"help"};
    } else if (std::regex_search(line, match, row)) {
      table[command].insert(match[1]);
    }
  }
  table["help"] = {"markdown"};
  return table;
}

// The flags in a piece of text, without their dashes.
std::vector<std::string> flags_in(const std::string& text) {
  static const std::regex flag(R"((^|[\s`(\[|/'"])--([A-Za-z][A-Za-z0-9_-]*))");
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), flag), end; it != end; ++it) {
    found.push_back((*it)[2].str());
  }
  return found;
}

// Flags of the scripts and programs beside higgs_train: whatever their sources name.
std::set<std::string> flags_of_scripts() {
  std::set<std::string> found;
  for (const char* folder : {"scripts", "bench", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_dir() / folder)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (!extension.empty() && extension != ".py" && extension != ".sh"))
        continue;
      for (const std::string& flag : flags_in(text_of_file(entry.path()))) found.insert(flag);
    }
  }
  return found;
}

// Flags of programs that aren't ours (cmake, ctest, docker, mpirun, pip, TensorBoard, Whisper, ...).
const std::set<std::string>& flags_of_others() {
  static const std::set<std::string> flags = {"bind",       "branch",        "build",     "diarize",
                                              "entrypoint", "gpus",          "index-url", "install",
                                              "ipc",        "logdir",        "model",     "no-python",
                                              "nv",         "output_format", "prefix",    "rm",
                                              "set-rpath",  "shm-size",      "verbose",   "word_timestamps"};
  return flags;
}

// The pieces of a document that are code: fenced blocks, their continued lines joined, and spans in
// backticks.
std::vector<std::string> code_of(const std::string& text) {
  std::vector<std::string> pieces;
  std::istringstream lines(text);
  std::string rest, whole;
  bool fenced = false;
  for (std::string line; std::getline(lines, line);) {
    const auto begin = line.find_first_not_of(' ');
    if (begin != std::string::npos && line.compare(begin, 3, "```") == 0) {
      fenced = !fenced;
    } else if (!fenced) {
      rest += line + "\n";
    } else if (!line.empty() && line.back() == '\\') {
      whole += line.substr(0, line.size() - 1) + " ";
    } else {
      pieces.push_back(whole + line);
      whole.clear();
    }
  }
  static const std::regex span("`([^`]+)`");
  for (std::sregex_iterator it(rest.begin(), rest.end(), span), end; it != end; ++it) {
    pieces.push_back((*it)[1].str());
  }
  return pieces;
}

struct Call {
  std::string command;
  std::vector<std::string> flags;
};

// Calls of the program in a piece of code: "higgs_train merge --out X | tail" is merge with --out, and so is
// "merge --out X" at its beginning.
std::vector<Call> calls_in(const std::string& text) {
  const std::string code = text.substr(0, text.find('#'));
  static const std::regex start(R"((^|[\s/])higgs_train +(--)?([a-z_]+|COMMAND))");
  const auto flags_from = [&](std::size_t from) {
    return flags_in(" " + code.substr(from, code.find_first_of("|;&", from) - from));
  };
  std::vector<Call> calls;
  const std::string first = code.substr(0, code.find(' '));
  if (flags_of_commands().count(first) != 0) calls.push_back({first, flags_from(0)});
  for (std::sregex_iterator it(code.begin(), code.end(), start), end; it != end; ++it) {
    const bool is_train = (*it)[2].matched;
    const auto from = static_cast<std::size_t>(it->position(is_train ? 2 : 3));
    calls.push_back({is_train ? "train" : (*it)[3].str(), flags_from(from)});
  }
  return calls;
}

TEST(Documents, CodeAndItsCallsAreFound) {
  const auto pieces = code_of("a `x --y` b\n```\nbuild/higgs_train merge \\\n  --out O | tail --n\n```\n");
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1], "x --y");
  const auto calls = calls_in(pieces[0]);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].command, "merge");
  EXPECT_EQ(calls[0].flags, std::vector<std::string>{"out"});
  EXPECT_EQ(calls_in("mpirun -np 8 higgs_train --lr 1")[0].command, "train");
  EXPECT_EQ(calls_in("prepare --form clone")[0].flags, std::vector<std::string>{"form"});
}

TEST(Documents, EveryCommandExistsWithTheFlagsItIsGiven) {
  const auto table = flags_of_commands();
  ASSERT_GE(table.size(), 9u);
  int num_calls = 0;
  for (const fs::path& path : documents()) {
    for (const std::string& code : code_of(text_of_file(path))) {
      for (const Call& call : calls_in(code)) {
        if (call.command == "COMMAND" || call.command == "help" || call.command == "version") continue;
        ++num_calls;
        ASSERT_EQ(table.count(call.command), 1u) << path << ": no command '" << call.command << "': " << code;
        for (const std::string& flag : call.flags) {
          EXPECT_EQ(table.at(call.command).count(flag), 1u)
              << path << ": " << call.command << " has no --" << flag << ": " << code;
        }
      }
    }
  }
  EXPECT_GT(num_calls, 20);
}

TEST(Documents, EveryFlagExists) {
  std::set<std::string> known = flags_of_scripts();
  known.insert(flags_of_others().begin(), flags_of_others().end());
  for (const auto& [command, flags] : flags_of_commands()) known.insert(flags.begin(), flags.end());
  known.insert("version");
  int num_flags = 0;
  for (const fs::path& path : documents()) {
    for (const std::string& flag : flags_in(text_of_file(path))) {
      ++num_flags;
      EXPECT_EQ(known.count(flag), 1u) << path << ": nothing here has the flag --" << flag;
    }
  }
  EXPECT_GT(num_flags, 100);
}

// The libraries of scripts/lib.sh, by Debian's names.
std::vector<std::string> library_packages() {
  const std::string text = text_of_file(source_dir() / "scripts/lib.sh");
  const auto begin = text.find("LIBRARY_PACKAGES=("), end = text.find(')', begin);
  std::istringstream words(text.substr(begin + 18, end - begin - 18));
  std::vector<std::string> names;
  for (std::string word; words >> word;) names.push_back(word);
  return names;
}

TEST(Documents, TheCondaEnvironmentNamesEveryLibrary) {
  const std::string environment = text_of_file(source_dir() / "environment.yml");
  ASSERT_GT(library_packages().size(), 8u);
  for (const std::string& package : library_packages()) {
    EXPECT_NE(environment.find("# " + package), std::string::npos) << package;
  }
}

// The literals of all sources, those that stand beside each other joined.
std::string literals_of_sources() {
  std::string all;
  for (const fs::path& folder : {source_dir() / "src", source_dir() / "scripts"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) all += text_of_file(entry.path());
    }
  }
  std::string joined;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == '\\' && i + 1 < all.size()) {
      joined += all[++i] == 'n' ? ' ' : all[i];
      continue;
    }
    const auto next = all[i] == '"' ? all.find_first_not_of(" \n\t", i + 1) : std::string::npos;
    if (next != std::string::npos && next > i + 1 && all[next] == '"') {
      i = next;
    } else {
      joined += all[i];
    }
  }
  return joined;
}

// A message stands behind "> "; "..." stands for what is another each time.
TEST(Documents, EveryMessageOfTroubleshootingIsTheProgramsOwn) {
  const std::string sources = literals_of_sources();
  std::istringstream lines(text_of_file(source_dir() / "docs/troubleshooting.md"));
  int num_messages = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("> ", 0) != 0) continue;
    ++num_messages;
    std::string rest = line.substr(2);
    while (!rest.empty()) {
      const auto dots = rest.find("...");
      std::string part = rest.substr(0, dots);
      rest = dots == std::string::npos ? "" : rest.substr(dots + 3);
      part.erase(0, part.find_first_not_of(' '));
      part.erase(part.find_last_not_of(' ') + 1);
      EXPECT_NE(sources.find(part), std::string::npos) << "no source says '" << part << "' of: " << line;
    }
  }
  EXPECT_GT(num_messages, 15);
}

}  // namespace
}  // namespace higgs::test
