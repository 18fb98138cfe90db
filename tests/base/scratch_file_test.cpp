#include "higgs/base/scratch_file.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cstring>
#include <optional>
#include <vector>

#include "support/paths.h"

namespace higgs {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string read(const ScratchFile& file, std::uint64_t offset, std::size_t count) {
  std::string text(count, '\0');
  file.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

TEST(ScratchFile, HasNoNameAndGivesBackItsBytes) {
  const test::TemporaryFolder folder;
  std::optional<ScratchFile> file(folder.path());
  EXPECT_FALSE(file->in_memory());
  file->append(bytes_of("abc"));
  file->append(bytes_of("defg"));
  EXPECT_EQ(file->size(), 7u);
  file->finish();
  EXPECT_EQ(read(*file, 0, 7), "abcdefg");
  EXPECT_EQ(read(*file, 2, 3), "cde");
  file->map();
  EXPECT_EQ(std::memcmp(file->mapped().data(), "abcdefg", 7), 0);
  EXPECT_TRUE(list_folder(folder.path()).empty());
  const ScratchFile opened = ScratchFile::open(file->address());
  EXPECT_EQ(opened.size(), 7u);
  file.reset();
  EXPECT_EQ(read(opened, 3, 4), "defg");
}

TEST(ScratchFile, StaysInMemoryWhereNoFileCanBe) {
  const test::TemporaryFolder folder;
  for (const fs::path& where : {fs::path(), folder / "absent", fs::path("/proc")}) {
    ScratchFile file(where);
    EXPECT_TRUE(file.in_memory());
    file.append(bytes_of("abc"));
    file.finish();
    EXPECT_EQ(read(file, 1, 2), "bc");
  }
  EXPECT_NE(test::run_error([] { ScratchFile::open("/proc/1/fd/9999"); }).find("cannot be opened"),
            std::string::npos);
}

// A file system of 2 MiB.
class SmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
      GTEST_SKIP() << "no right to mount a small file system";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(folder.path().c_str(), MNT_DETACH);
  }
  test::TemporaryFolder folder;

 private:
  bool mounted_ = false;
};

TEST_F(SmallDisk, WhatDoesNotFitGoesOnInMemory) {
  ScratchFile file(folder.path());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string piece(100000 + static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    file.append(bytes_of(piece));
    all += piece;
  }
  file.finish();
  EXPECT_TRUE(file.in_memory());
  ASSERT_EQ(file.size(), all.size());
  EXPECT_TRUE(read(file, 0, all.size()) == all);
}

}  // namespace
}  // namespace higgs
