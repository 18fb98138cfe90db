#include "higgs/data/clip_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "higgs/data/clip_file.h"
#include "higgs/data/manifest.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// set/clips/a.wav, and outside.wav beside set.
class Clips : public ::testing::Test {
 protected:
  Clips() : set(root / "set") {
    fs::create_directories(set / "clips");
    write_file_atomically(set / "clips" / "a.wav", "inside");
    write_file_atomically(root / "outside.wav", "outside");
  }
  std::string error(const std::string& name, bool confined) const {
    return user_error([&] { ClipFolder(set, confined).find(name, "m.jsonl:7"); });
  }
  static std::string content(const ClipFolder& folder, const std::string& name) {
    AudioContent clip;
    clip.audio_url = name;
    return std::string(ClipFile(clip, folder, "m.jsonl:7").bytes());
  }

  TemporaryFolder root;
  fs::path set;
};

TEST_F(Clips, AreFoundAnywhereUnlessConfined) {
  for (const std::string name : {"../outside.wav", "clips/../../outside.wav"}) {
    EXPECT_EQ(content(set, name), "outside") << name;
  }
  EXPECT_EQ(content(set, (root / "outside.wav").string()), "outside");
  EXPECT_EQ(content(set, "clips/a.wav"), "inside");
}

TEST_F(Clips, ConfinedOnesStandBelowTheManifest) {
  const ClipFolder confined(set, true);
  EXPECT_EQ(content(confined, "clips/a.wav"), "inside");
  EXPECT_EQ(content(confined, "./clips//a.wav"), "inside");
  EXPECT_THAT(error((root / "outside.wav").string(), true),
              AllOf(StartsWith("m.jsonl:7: " + (root / "outside.wav").string()), HasSubstr("absolute"),
                    HasSubstr("--confine_paths")));
  EXPECT_THAT(error((set / "clips/a.wav").string(), true), HasSubstr("absolute"));
  for (const std::string name : {"../outside.wav", "clips/../../outside.wav", "clips/../clips/a.wav"}) {
    EXPECT_THAT(error(name, true), AllOf(StartsWith("m.jsonl:7: " + name), HasSubstr(": a path with \"..\"")))
        << name;
  }
}

TEST_F(Clips, ConfinedLinksMayNotLeadOut) {
  fs::create_symlink(root / "outside.wav", set / "link.wav");
  fs::create_directory_symlink(root.path(), set / "up");
  fs::create_symlink("clips/a.wav", set / "inner.wav");
  for (const std::string name : {"link.wav", "up/outside.wav"}) {
    EXPECT_EQ(content(set, name), "outside") << name;
    EXPECT_THAT(error(name, true),
                AllOf(StartsWith("m.jsonl:7: " + (set / name).string()), HasSubstr("link")))
        << name;
  }
  EXPECT_EQ(content({set, true}, "inner.wav"), "inside");
}

TEST_F(Clips, AFolderWhoseNameBeginsAlikeIsOutside) {
  fs::create_directories(root / "set2");
  write_file_atomically(root / "set2" / "a.wav", "outside");
  fs::create_symlink(root / "set2" / "a.wav", set / "link.wav");
  EXPECT_THAT(error("link.wav", true), HasSubstr("link"));
}

TEST_F(Clips, AManifestReachedThroughALinkHasItsOwnClips) {
  fs::create_directory_symlink(set, root / "linked");
  EXPECT_EQ(content({root / "linked", true}, "clips/a.wav"), "inside");
}

TEST_F(Clips, InTheWorkingDirectoryAreFoundToo) {
  const fs::path before = fs::current_path();
  fs::current_path(set);
  EXPECT_EQ(content({"", true}, "clips/a.wav"), "inside");
  fs::current_path(before);
}

TEST_F(Clips, WhatIsNoFileIsNamed) {
  ASSERT_EQ(::mkfifo((set / "pipe.wav").c_str(), 0600), 0);  // opening it would wait for ever
  fs::create_symlink("loop.wav", set / "loop.wav");
  for (const bool confined : {false, true}) {
    EXPECT_THAT(error("clips", confined), HasSubstr("is no file of sound"));
    EXPECT_THAT(error("pipe.wav", confined), HasSubstr("is no file of sound"));
    EXPECT_THAT(error("file:///etc/passwd", confined), HasSubstr("not a local file"));
    EXPECT_EQ(error("none.wav", confined), "m.jsonl:7: " + (set / "none.wav").string() + ": no such clip");
    EXPECT_THAT(error("loop.wav", confined), HasSubstr("no such clip (Too many levels of symbolic links)"));
    EXPECT_THAT(error(std::string(5000, 'x'), confined), HasSubstr("no such clip"));
    EXPECT_THAT(error(std::string("clips/a.wav\0.flac", 17), confined), HasSubstr("no such clip"));
  }
}

}  // namespace
}  // namespace higgs::test
