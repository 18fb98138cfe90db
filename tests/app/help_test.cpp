// `--help` of every command is what was agreed on; a change shows in the committed texts. To accept one:
//   for c in train prepare check generate encode evaluate merge plan inspect; do
//     build/higgs_train $c --help > tests/golden/help/$c.txt
//   done; build/higgs_train --help > tests/golden/help/overview.txt
//   build/higgs_train help --markdown > docs/flags.md
#include <algorithm>
#include <sstream>

#include "app_test.h"
#include "support/terminal.h"

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

TEST_F(Help, TheWordBeforeACommandGivesTheCommandsHelp) {
  EXPECT_EQ(run({"help", "merge"}).out, text_of(golden("help/merge.txt")));
  EXPECT_EQ(higgs({"help", "nothing"}).exit_code, 2);
}

TEST_F(Help, DocumentOfAllFlagsIsWhatTheProgramPrints) {
  EXPECT_EQ(run({"help", "--markdown"}).out, text_of(source_dir() / "docs/flags.md"));
}

TEST_F(Help, IsAtMost100ColumnsWideWhereThereIsNoTerminal) {
  for (const auto& entry : fs::directory_iterator(golden("help"))) {
    for (const std::string& line : lines_of(text_of(entry.path()))) EXPECT_LE(line.size(), 100u) << line;
  }
  Environment variables = environment();
  variables["COLUMNS"] = "60";
  EXPECT_EQ(run_process({program(), "train", "--help"}, variables).out, text_of(golden("help/train.txt")));
}

TEST_F(Help, FollowsTheWindowOfATerminal) {
  for (const int columns : {60, 90, 200}) {
    Environment variables = environment();
    variables["COLUMNS"] = "";
    const TerminalResult result = in_terminal(columns, Arguments{program(), "train", "--help"}, variables);
    EXPECT_EQ(result.exit_code, 0);
    std::size_t widest = 0;
    for (const std::string& row : lines_of(result.bytes.substr(0, result.bytes.find("Example:")))) {
      widest = std::max(widest, row.size() - (!row.empty() && row.back() == '\r' ? 1 : 0));
    }
    const auto width = static_cast<std::size_t>(std::min(columns, 100));
    EXPECT_LE(widest, width);
    EXPECT_GT(widest + 12, width) << "the window isn't used";
  }
}

TEST_F(Help, VersionIsOneLine) {
  const auto lines = lines_of(run({"--version"}).out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rfind("higgs_train ", 0), 0u);
}

}  // namespace
}  // namespace higgs::test
