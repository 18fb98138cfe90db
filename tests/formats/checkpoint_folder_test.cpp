#include "higgs/formats/checkpoint_folder.h"

#include <gmock/gmock.h>

#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using ::testing::HasSubstr;

class CheckpointFolder : public ::testing::Test {
 protected:
  void save(const std::string& name, const std::string& content) {
    CheckpointWriter writer(folder / name);
    write_text(writer.folder() / "a.bin", content);
    write_text(writer.folder() / "b.json", "{}");
    writer.commit();
  }
  std::string fault(const std::string& name) { return checkpoint_fault(folder / name).value_or(""); }
  TemporaryFolder folder;
};

TEST_F(CheckpointFolder, IsCompleteOnceCommitted) {
  save("step-000001", "content");
  EXPECT_EQ(fault("step-000001"), "");
  EXPECT_EQ(text_of(folder / "step-000001" / "a.bin"), "content");
  EXPECT_EQ(snapshot(folder.path()).size(), 4u);  // the folder, its two files and MANIFEST.json: nothing else
}

TEST_F(CheckpointFolder, WithoutCommitLeavesNothing) {
  {
    CheckpointWriter writer(folder / "step-000001");
    write_text(writer.folder() / "a.bin", "content");
    EXPECT_FALSE(fs::exists(folder / "step-000001"));
    EXPECT_TRUE(list_checkpoints(folder.path()).empty());
  }
  EXPECT_TRUE(snapshot(folder.path()).empty());
}

TEST_F(CheckpointFolder, ReplacesAnOlderOne) {
  save("step-000001", "old");
  save("step-000001", "newer");
  EXPECT_EQ(text_of(folder / "step-000001" / "a.bin"), "newer");
  EXPECT_EQ(fault("step-000001"), "");
}

TEST_F(CheckpointFolder, LeavesNothingOfTheOneItReplaces) {
  save("step-000001", "old");
  save("step-000001", "newer");
  EXPECT_EQ(snapshot(folder.path()).size(), 4u);
}

TEST_F(CheckpointFolder, WhatKilledProcessesLeftIsRemovedAndNothingElse) {
  save("step-000001", "content");
  fs::create_directory(folder / ".tmp-step-000002.77");
  write_text(folder / ".tmp-step-000002.77/a.bin", "half");
  write_text(folder / "metrics.jsonl.tmp.4711", "half");
  for (const char* other : {"notes.tmp.txt", "a.tmp", ".tmp.", "x.tmp.", "tmp-1"})
    write_text(folder / other, "mine");
  remove_unfinished(folder.path());
  EXPECT_FALSE(fs::exists(folder / ".tmp-step-000002.77"));
  EXPECT_FALSE(fs::exists(folder / "metrics.jsonl.tmp.4711"));
  EXPECT_EQ(fault("step-000001"), "");
  EXPECT_EQ(snapshot(folder.path()).size(), 4u + 5u);
  EXPECT_NO_THROW(remove_unfinished(folder / "none"));
}

TEST_F(CheckpointFolder, SaysWhatIsWrong) {
  const fs::path file = folder / "x" / "a.bin";
  save("x", "content");
  write_text(file, "Content");
  EXPECT_EQ(fault("x"), "a.bin has other bytes than were written");
  write_text(file, "content.");
  EXPECT_EQ(fault("x"), "a.bin has another size");
  fs::remove(file);
  EXPECT_EQ(fault("x"), "a.bin is missing");
  fs::remove(folder / "x" / "MANIFEST.json");
  EXPECT_EQ(fault("x"), "has no MANIFEST.json: it was never finished");
}

TEST_F(CheckpointFolder, TakesABadManifestForAFault) {
  save("x", "content");
  for (const char* files : {"3", "{}", R"({"a.bin": {}})", R"({"a.bin": 7})",
                            R"({"../../etc/passwd": {"size": 1, "xxh3_128": ""}})"}) {
    write_text(folder / "x" / "MANIFEST.json", std::string(R"({"format": 1, "files": )") + files + "}");
    EXPECT_NE(fault("x"), "") << files;
  }
  for (const char* text : {"", "{", "[]", "{}", R"({"files": {}})", R"({"format": 2, "files": {}})"}) {
    write_text(folder / "x" / "MANIFEST.json", text);
    EXPECT_NE(fault("x"), "") << text;
  }
}

TEST_F(CheckpointFolder, NamesAFileThatMustBeThereAndIsNotListed) {
  save("x", "content");
  EXPECT_EQ(checkpoint_fault(folder / "x", {"a.bin", "b.json"}), std::nullopt);
  EXPECT_EQ(checkpoint_fault(folder / "x", {"c.bin"}).value_or(""), "MANIFEST.json does not list c.bin");
}

TEST_F(CheckpointFolder, AreListedNewestFirst) {
  for (const char* name : {"step-000010", "step-000002", "step-1000000"}) save(name, "");
  for (const char* other : {"step-", "step-3x", "other", ".tmp-step-000004.1"})
    fs::create_directory(folder / other);
  write_text(folder / "step-000099", "a file");
  std::vector<std::int64_t> steps;
  for (const auto& entry : list_checkpoints(folder.path())) steps.push_back(entry.step);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1000000, 10, 2}));
  EXPECT_TRUE(list_checkpoints(folder / "none").empty());
  EXPECT_EQ(checkpoint_name(200), "step-000200");
}

}  // namespace
}  // namespace higgs::test
