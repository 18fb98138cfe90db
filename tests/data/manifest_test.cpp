#include "higgs/data/manifest.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs {
namespace {

TEST(Manifest, NumbersLinesFromOneAndPassesOverBlankOnes) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "m.jsonl", "{\"a\":1}\n\n  \r\n{\"b\":2}\n{\"c\":3}");
  const Manifest manifest(folder / "m.jsonl");
  ASSERT_EQ(manifest.size(), 3u);
  EXPECT_EQ(manifest.line(1), "{\"b\":2}");
  EXPECT_EQ(manifest.line(2), "{\"c\":3}");
  EXPECT_EQ(manifest.where(0), (folder / "m.jsonl").string() + ":1");
  EXPECT_EQ(manifest.where(1), (folder / "m.jsonl").string() + ":4");
  EXPECT_EQ(manifest.clips().path, folder.path());
}

TEST(Manifest, RefusesFilesWithoutSamples) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "empty.jsonl", "");
  write_file_atomically(folder / "blank.jsonl", "\n \n");
  for (const char* name : {"empty.jsonl", "blank.jsonl"}) {
    const std::string message = test::user_error([&] { Manifest(folder / name); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find("no sample"), std::string::npos) << message;
  }
  EXPECT_NE(test::user_error([&] { Manifest(folder / "absent.jsonl"); }).find("absent.jsonl"),
            std::string::npos);
}

}  // namespace
}  // namespace higgs
