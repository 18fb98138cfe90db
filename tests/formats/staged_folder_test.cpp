// Folders that appear whole or not at all, and what a killed process leaves of them.
#include "higgs/formats/staged_folder.h"

#include <gtest/gtest.h>

#include "higgs/base/error.h"
#include "support/paths.h"

#include "support/process.h"

namespace higgs::test {
namespace {

TEST(Unfinished, TellsTheNameItWasToHave) {
  EXPECT_EQ(name_when_finished(".tmp-step-000004.123"), "step-000004");
  EXPECT_EQ(name_when_finished(".tmp-step-000004.123.old"), "step-000004");
  EXPECT_EQ(name_when_finished("config.toml.tmp.77"), "config.toml");
  for (const char* other :
       {"step-000004", "notes.tmp", ".tmp-notes", ".tmp-.old", "a.tmp.x", ".tmp.5", "", ".old"})
    EXPECT_EQ(name_when_finished(other), "") << other;
}

TEST(Unfinished, IsRemovedWhereItIsOurs) {
  const TemporaryFolder folder;
  for (const char* name : {".tmp-adapter.1/f", "config.toml.tmp.2", ".tmp-merged.3/f", "notes.txt"}) {
    fs::create_directories((folder / name).parent_path());
    write_text(folder / name, "x");
  }
  remove_unfinished(folder.path(), [](const std::string& name) { return name != "merged"; });
  EXPECT_FALSE(fs::exists(folder / ".tmp-adapter.1"));
  EXPECT_FALSE(fs::exists(folder / "config.toml.tmp.2"));
  EXPECT_TRUE(fs::exists(folder / ".tmp-merged.3/f"));
  EXPECT_TRUE(fs::exists(folder / "notes.txt"));
}

// Where two names can't be exchanged, a kill may come between two renames.
TEST(Unfinished, WhatSteppedAsideComesBack) {
  const TemporaryFolder folder;
  for (const char* name : {".tmp-a.5.old", ".tmp-a.5", ".tmp-b.5.old", "b"}) {
    fs::create_directories(folder / name);
    write_text(folder / name / "f", name);
  }
  remove_unfinished(folder.path());
  EXPECT_EQ(text_of(folder / "a/f"), ".tmp-a.5.old");
  EXPECT_EQ(text_of(folder / "b/f"), "b");
  EXPECT_EQ(snapshot(folder.path()).size(), 4u);
}

TEST(StagedFolder, WhatIsInTheWayIsNamedBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "full");
  write_text(folder / "full/f", "x");
  check_is_new_folder(folder / "none", "--out");
  EXPECT_EQ(user_error([&] { check_is_new_folder(folder / "full", "--out"); }),
            "--out " + (folder / "full").string() + ": is not empty; give another folder");
  EXPECT_EQ(user_error([&] { check_is_new_folder(folder / "full/f", "--out"); }),
            "--out " + (folder / "full/f").string() + ": is a file");
  check_disk_space(folder / "none", 1);
  try {
    check_disk_space(folder / "none", std::uint64_t{1} << 62);
    ADD_FAILURE() << "no disk has room for that";
  } catch (const RunError& error) {
    const std::string said = error.what();
    EXPECT_EQ(said.rfind((folder / "none").string() + ": needs ", 0), 0u) << said;
    EXPECT_NE(said.find(" are free there; make room or give another folder"), std::string::npos) << said;
  }
}

// Behind a link, ".." is the folder that holds what the link points to.
TEST(StagedFolder, LandsWhereTheSystemWouldPutIt) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "far/inner");
  fs::create_directory_symlink(folder / "far/inner", folder / "link");
  StagedFolder staged(folder / "link" / ".." / "run");
  staged.commit();
  EXPECT_TRUE(fs::is_directory(folder / "far/run"));
  EXPECT_FALSE(fs::exists(folder / "run"));
  StagedFolder slash((folder / "slashed").string() + "/");
  slash.commit();
  EXPECT_TRUE(fs::is_directory(folder / "slashed"));
}

}  // namespace
}  // namespace higgs::test
