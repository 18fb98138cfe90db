// What a user sees of `train` and `encode`: one live line at a terminal, plain lines in a file.
#include "support/terminal.h"

#include <algorithm>

#include "train_process.h"

namespace higgs::test {
namespace {

constexpr int kColumns = 400;

class AtATerminal : public TrainTest {
 protected:
  TerminalResult higgs_in_terminal(const Arguments& arguments) const {
    return in_terminal(kColumns, Arguments{program()} + arguments, environment());
  }
  // Rows that contain it.
  static std::vector<std::string> rows_with(const TerminalResult& result, const std::string& part) {
    std::vector<std::string> some;
    for (const std::string& row : rows(result, kColumns)) {
      if (row.find(part) != std::string::npos) some.push_back(row);
    }
    return some;
  }
};

TEST_F(AtATerminal, TrainingIsOneLineAndItsEndStays) {
  const TerminalResult result =
      higgs_in_terminal(command("run") + Arguments{"--max_steps", "6", "--log_steps", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.bytes;
  EXPECT_NE(result.bytes.find("\rstep 1/6  epoch "), std::string::npos) << result.bytes;
  EXPECT_EQ(rows_with(result, "tok/s").size(), 0u) << "the live line is gone at the end";
  const auto steps = rows_with(result, "info step ");
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_NE(steps[0].find("info step 6/6 epoch "), std::string::npos) << steps[0];
  EXPECT_EQ(rows_with(result, "info validation at step ").size(), 2u);
  EXPECT_EQ(rows(result, kColumns).back(), "") << "the cursor stands at a line's beginning";
  EXPECT_EQ(escapes(result.bytes), (std::vector<std::string>{"[K"})) << "NO_COLOR is set";
}

TEST_F(AtATerminal, AFileHasLinesInstead) {
  Environment variables = environment();
  variables["NO_COLOR"] = "";
  variables["TERM"] = "xterm-256color";
  const ProcessResult result = run_process(
      Arguments{program()} + command("run") + Arguments{"--max_steps", "6", "--log_steps", "2"}, variables);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err.find_first_of("\r\x1b"), std::string::npos) << result.err;
  std::string steps;
  for (const std::string& line : lines_of(result.err)) {
    if (const auto at = line.find("info step "); at != std::string::npos) steps += line.substr(at + 10, 4);
  }
  EXPECT_EQ(steps, "1/6 2/6 4/6 6/6 ");
}

// Ranks that torchrun or srun start share the terminal.
TEST_F(AtATerminal, SeveralRanksSayLines) {
  std::string script = "export WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=" +
                       std::to_string(20000 + ::getpid() % 20000) +
                       "; RANK=1 LOCAL_RANK=1 \"$@\" & RANK=0 LOCAL_RANK=0 \"$@\"; wait";
  const TerminalResult result = in_terminal(kColumns,
                                            Arguments{"sh", "-c", script, "sh", program()} + command("run") +
                                                Arguments{"--max_steps", "2", "--log_steps", "1"},
                                            environment());
  EXPECT_EQ(escapes(result.bytes).size(), 0u) << result.bytes;
  EXPECT_EQ(rows_with(result, "info step ").size(), 2u) << result.bytes;
}

TEST_F(AtATerminal, AnErrorStandsOnALineOfItsOwn) {
  write("bad.jsonl", first_lines(golden("e2e/manifest.jsonl"), 3) + "{}\n");
  const TerminalResult result = higgs_in_terminal(
      Arguments{"train", "--train_manifest", scratch / "bad.jsonl", "--output_dir", scratch / "run"} +
      golden_base());
  EXPECT_EQ(result.exit_code, 2);
  const auto errors = rows_with(result, "higgs_train: error: ");
  ASSERT_EQ(errors.size(), 1u) << result.bytes;
  EXPECT_EQ(errors[0].rfind("higgs_train: error: ", 0), 0u) << errors[0];
}

TEST_F(AtATerminal, EncodingCounts) {
  const fs::path manifest = write("train.jsonl", first_lines(demo("voice/train.jsonl"), 12));
  Environment variables = environment();
  variables["XDG_CACHE_HOME"] = scratch / "cache";  // none of them is encoded yet
  const TerminalResult result =
      in_terminal(kColumns, Arguments{program(), "encode", "--manifest", manifest} + demo_base(), variables);
  EXPECT_EQ(result.exit_code, 0) << result.bytes;
  EXPECT_NE(result.bytes.find("\rencoding clips "), std::string::npos) << result.bytes;
  EXPECT_NE(result.bytes.find("/12  "), std::string::npos) << result.bytes;
  EXPECT_EQ(rows_with(result, "encoding clips ").size(), 0u) << "the live line is gone at the end";
  EXPECT_EQ(rows_with(result, "12 samples: 12 clips encoded").size(), 1u) << result.bytes;
}

}  // namespace
}  // namespace higgs::test
