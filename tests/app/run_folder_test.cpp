// The folder of a run: when it begins anew, goes on, or is left alone.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "train_process.h"

namespace higgs::test {
namespace {

class RunFolderTest : public TrainTest {
 protected:
  const Arguments common = {"--max_steps", "4", "--save_steps", "1", "--keep_last", "0"};
  void expect_refused(const Arguments& arguments, const std::string& part) const {
    const auto before = snapshot(scratch / "run");
    const ProcessResult result = higgs(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    EXPECT_EQ(snapshot(scratch / "run"), before);
  }
};

// Killed before there was a checkpoint: the same command is enough.
TEST_F(RunFolderTest, ABeginningIsBegunAnew) {
  run(command("whole") + common);
  fs::create_directories(scratch / "run/checkpoints/.tmp-step-000001.99");
  write("run/config.toml", "lr = 1\n");
  write("run/metrics.jsonl", "{}\n");
  write("run/report.html.tmp.99", "");
  const ProcessResult result = run(command("run") + common);
  EXPECT_NE(result.err.find("ended before its first checkpoint; it begins anew"), std::string::npos)
      << result.err;
  EXPECT_EQ(adapter("run"), adapter("whole"));
  EXPECT_EQ(results("run"), results("whole"));
  EXPECT_EQ(snapshot(scratch / "run").size(), snapshot(scratch / "whole").size()) << "leftovers";
}

TEST_F(RunFolderTest, OtherPeoplesFilesAreNoBeginning) {
  write("run/config.toml", "lr = 1\n");
  write("run/notes.txt", "mine");
  expect_refused(command("run") + common, "is not empty and holds no checkpoint to resume");
  fs::remove(scratch / "run/notes.txt");
  fs::remove(scratch / "run/config.toml");
  write("run/metrics.jsonl", "mine");
  expect_refused(command("run") + common, "is not empty and holds no checkpoint to resume");
}

TEST_F(RunFolderTest, AFinishedRunIsReplacedOnlyWhenAsked) {
  run(command("run") + Arguments{"--max_steps", "1"});
  expect_refused(command("run") + Arguments{"--max_steps", "1", "--resume", "none"},
                 (scratch / "run").string() + ": holds a run; --overwrite starts anew there");
  fs::remove(scratch / "run/checkpoints/step-000001/MANIFEST.json");
  expect_refused(
      command("run") + Arguments{"--max_steps", "1"},
      (scratch / "run").string() + ": holds a run of which no checkpoint is whole; --overwrite starts anew");
}

TEST_F(RunFolderTest, GoingBackKeepsLaterCheckpointsUnderAnotherName) {
  run(command("run") + common);
  const std::string whole = adapter("run");
  const Arguments back = {"--resume", scratch / "run/checkpoints/step-000002"};
  const ProcessResult result = run(command("run") + common + back + Arguments{"--keep_last", "1"});
  EXPECT_NE(result.err.find("step-000004: of a later step"), std::string::npos) << result.err;
  EXPECT_EQ(adapter("run"), whole);
  EXPECT_EQ(checkpoints("run"),
            (std::set<std::string>{"aside-step-000003", "aside-step-000004", "step-000004"}));
  expect_refused(
      command("run") + common + Arguments{"--resume", scratch / "run/checkpoints/step-000004", "--overwrite"},
      "--overwrite would remove");
}

TEST_F(RunFolderTest, ACheckpointFromElsewhereNeedsAFolderOfItsOwn) {
  run(command("first") + common);
  run(command("run") + common);
  const Arguments from = {"--resume", scratch / "first/checkpoints/step-000002"};
  expect_refused(command("run") + common + from, "--resume names a checkpoint elsewhere");
  run(command("run") + common + from + Arguments{"--overwrite"});
  EXPECT_EQ(steps("run", "train"), (std::vector<int>{3, 4})) << "nothing of the old run";
  // The same command again goes on with it.
  fs::remove_all(scratch / "run/checkpoints/step-000004");
  fs::remove_all(scratch / "run/adapter");
  const ProcessResult again = run(command("run") + common + from);
  EXPECT_NE(again.err.find("continuing after step 3"), std::string::npos) << again.err;
  EXPECT_EQ(adapter("run"), adapter("first"));
}

TEST_F(RunFolderTest, OverwritingIsForOnce) {
  run(command("run") + common + Arguments{"--overwrite"});
  EXPECT_EQ(text_of(scratch / "run/config.toml").find("overwrite"), std::string::npos);
}

// Two starts that both found it empty: the slower one must not begin anew over what the faster one did.
TEST_F(RunFolderTest, WhatAnotherRunDidMeanwhileStays) {
  ASSERT_EQ(::mkfifo((scratch / "manifest").c_str(), 0600), 0);
  Process slow(
      Arguments{program()} + command("run") + common + Arguments{"--train_manifest", scratch / "manifest"},
      environment());
  int pipe = -1;
  while (pipe < 0) {  // until it reads, having looked at its folder
    ASSERT_TRUE(slow.running());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pipe = ::open((scratch / "manifest").c_str(), O_WRONLY | O_NONBLOCK);
  }
  run(command("run") + common);
  const auto before = snapshot(scratch / "run");
  const std::string lines = first_lines(golden("e2e/manifest.jsonl"), 5);
  EXPECT_EQ(::write(pipe, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  ::close(pipe);
  const ProcessResult result = slow.wait();
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_NE(result.err.find("another run has written there since this one began"), std::string::npos)
      << result.err;
  EXPECT_EQ(snapshot(scratch / "run"), before);
}

}  // namespace
}  // namespace higgs::test
