#include "higgs/data/manifest.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs {
namespace {

TEST(Manifest, NumbersLinesFromOneAndPassesOverBlankOnes) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "m.jsonl", "{\"a\":1}\n\n  \r\n{\"b\":2}\n{\"c\":3}");
  Manifest manifest(folder / "m.jsonl");
  EXPECT_EQ(manifest.clips().path, folder.path());
  std::vector<std::string> lines, places;
  while (manifest.next()) {
    lines.emplace_back(manifest.line());
    places.push_back(manifest.where());
  }
  const std::string path = (folder / "m.jsonl").string();
  EXPECT_EQ(lines, (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"}));
  EXPECT_EQ(places, (std::vector<std::string>{path + ":1", path + ":4", path + ":5"}));
  EXPECT_EQ(count_samples(folder / "m.jsonl"), 3u);
}

TEST(Manifest, RefusesFilesWithoutSamples) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "empty.jsonl", "");
  write_file_atomically(folder / "blank.jsonl", "\n \n");
  for (const char* name : {"empty.jsonl", "blank.jsonl"}) {
    const std::string message = test::user_error([&] { count_samples(folder / name); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find(": holds no sample; each line is one ChatML sample in JSON"), std::string::npos)
        << message;
  }
  EXPECT_NE(test::user_error([&] { Manifest(folder / "absent.jsonl"); }).find("absent.jsonl"),
            std::string::npos);
}

}  // namespace
}  // namespace higgs
