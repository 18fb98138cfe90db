// `--help` of every command is what was agreed on; a change shows in the committed texts. To accept one:
//   for c in train prepare check generate encode evaluate merge plan inspect; do
//     build/higgs_train $c --help > tests/golden/help/$c.txt
//   done; build/higgs_train --help > tests/golden/help/overview.txt
#include <sstream>

#include "app_test.h"

namespace higgs::test {
namespace {

class Help : public AppTest {};

// The version changes with every release; the rest of the overview doesn't.
std::string without_version(const std::string& text) {
  std::string rest = text;
  const auto begin = rest.find(' '), end = rest.find(':');
  EXPECT_LT(begin, end);
  return rest.erase(begin, end - begin);
}

TEST_F(Help, OverviewIsTheCommittedText) {
  const std::string expected = without_version(text_of(golden("help/overview.txt")));
  for (const char* word : {"--help", "-h", "help"})
    EXPECT_EQ(without_version(run({word}).out), expected) << word;
}

TEST_F(Help, EveryCommandsHelpIsTheCommittedText) {
  int commands = 0;
  for (const std::string& line : lines_of(run({"--help"}).out)) {
    if (line.rfind("  ", 0) != 0) continue;
    std::string command;
    std::istringstream(line) >> command;
    const ProcessResult result = run({command, "--help"});
    EXPECT_EQ(result.out, text_of(golden("help/" + command + ".txt")));
    EXPECT_EQ(result.err, "");
    ++commands;
  }
  EXPECT_GE(commands, 5);
}

TEST_F(Help, IsShownWithoutTheRequiredFlagsAndBesideOthers) {
  EXPECT_EQ(run({"--lr", "1", "--help"}).out, text_of(golden("help/train.txt")));
  EXPECT_EQ(run({"inspect", "tokens", "--help"}).out, text_of(golden("help/inspect.txt")));
}

TEST_F(Help, WithoutArgumentsTheOverviewIsShownAndTheCodeIs2) {
  const ProcessResult result = higgs({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(without_version(result.out), without_version(text_of(golden("help/overview.txt"))));
}

TEST_F(Help, VersionIsOneLine) {
  const auto lines = lines_of(run({"--version"}).out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rfind("higgs_train ", 0), 0u);
}

}  // namespace
}  // namespace higgs::test
