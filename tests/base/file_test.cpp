#include "higgs/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "higgs/base/error.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

void put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::size_t count_entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// No file may grow past `bytes` while it lives: a write beyond fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*handler_)(int);
};

TEST(ReadFile, GivesAllBytesNulsIncluded) {
  const TemporaryFolder folder;
  std::string bytes(200000, 'x');
  bytes[0] = '\0';
  bytes[150000] = '\n';
  put(folder / "f", bytes);
  EXPECT_EQ(read_file(folder / "f"), bytes);
  put(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(ReadFile, NamesThePathOfAMissingFile) {
  const std::string message = user_error([] { read_file("/nowhere/at/all.json"); });
  EXPECT_EQ(message, "/nowhere/at/all.json: cannot be opened: No such file or directory");
}

TEST(ReadFile, RefusesAFolder) {
  const TemporaryFolder folder;
  EXPECT_NE(user_error([&] { read_file(folder.path()); }).find("is a folder"), std::string::npos);
}

TEST(ReadFile, RefusesMoreThanTheBytesAllowed) {
  const TemporaryFolder folder;
  put(folder / "f", "12345");
  EXPECT_EQ(read_file(folder / "f", 5), "12345");
  EXPECT_NE(user_error([&] { read_file(folder / "f", 4); }).find("5 bytes, more than the 4"),
            std::string::npos);
}

TEST(ReadFile, RefusesAnEndlessFileThatHidesItsSize) {
  EXPECT_NE(user_error([] { read_file("/dev/zero", 100000); }).find("/dev/zero"), std::string::npos);
}

TEST(MappedFile, ShowsTheBytesAndOutlivesTheName) {
  const TemporaryFolder folder;
  put(folder / "f", std::string("a\0b", 3));
  const MappedFile file(folder / "f");
  fs::remove(folder / "f");
  ASSERT_EQ(file.bytes().size(), 3u);
  EXPECT_EQ(file.bytes()[1], std::byte{0});
  EXPECT_EQ(file.bytes()[2], std::byte{'b'});
}

TEST(MappedFile, RefusesAPipeInsteadOfWaitingForIt) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(user_error([&] { MappedFile file(folder / "pipe"); }),
            (folder / "pipe").string() + ": is a pipe or a device, a file is expected");
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const TemporaryFolder folder;
  put(folder / "f", "");
  EXPECT_TRUE(MappedFile(folder / "f").bytes().empty());
}

TEST(MappedFile, NamesThePathOfWhatCannotBeMapped) {
  const TemporaryFolder folder;
  EXPECT_NE(user_error([] { MappedFile("/nowhere/f"); }).find("/nowhere/f: cannot be opened"),
            std::string::npos);
  EXPECT_NE(user_error([&] { MappedFile{folder.path()}; }).find("is a folder"), std::string::npos);
}

TEST(WriteFileAtomically, MakesAndReplacesAFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "f", "first");
  EXPECT_EQ(read_file(folder / "f"), "first");
  write_file_atomically(folder / "f", std::string("se\0ond", 6));
  EXPECT_EQ(read_file(folder / "f"), std::string("se\0ond", 6));
  EXPECT_EQ(count_entries(folder.path()), 1u);
}

TEST(WriteFileAtomically, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "f", "old");
  const std::string large(1 << 20, 'n');
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = run_error([&] { write_file_atomically(folder / "f", large); });
  }
  EXPECT_NE(message.find((folder / "f").string() + ": cannot be written: "), std::string::npos) << message;
  EXPECT_EQ(read_file(folder / "f"), "old");
  EXPECT_EQ(count_entries(folder.path()), 1u) << "a temporary file was left behind";
}

TEST(WriteFileAtomically, LeavesNothingWhenTheTargetCannotBeReplaced) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "f/inside");
  const std::string message = run_error([&] { write_file_atomically(folder / "f", "x"); });
  EXPECT_NE(message.find("cannot be replaced"), std::string::npos) << message;
  EXPECT_EQ(count_entries(folder.path()), 1u);
}

TEST(WriteFileAtomically, NamesThePathWhenTheFolderIsMissing) {
  const TemporaryFolder folder;
  const std::string message = run_error([&] { write_file_atomically(folder / "no/f", "x"); });
  EXPECT_NE(message.find("no/f: cannot be written: No such file or directory"), std::string::npos) << message;
}

TEST(WriteFileAtomically, WritesABareNameIntoTheWorkingDirectory) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("bare", "x");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder / "bare"), "x");
}

TEST(MakeWritableFolder, MakesParentsAndLeavesNoProbe) {
  const TemporaryFolder folder;
  make_writable_folder(folder / "a/b/c");
  EXPECT_TRUE(fs::is_empty(folder / "a/b/c"));
  make_writable_folder(folder / "a/b/c");
}

TEST(MakeWritableFolder, RefusesAFileInTheWay) {
  const TemporaryFolder folder;
  put(folder / "f", "");
  const std::string at = user_error([&] { make_writable_folder(folder / "f"); });
  EXPECT_NE(at.find((folder / "f").string()), std::string::npos) << at;
  const std::string below = user_error([&] { make_writable_folder(folder / "f/g"); });
  EXPECT_NE(below.find("cannot be made"), std::string::npos) << below;
}

TEST(MakeWritableFolder, RefusesAFolderThatTakesNoFiles) {
  // /proc refuses new entries to root as well, unlike a folder without write permission.
  const std::string message = user_error([] { make_writable_folder("/proc/self"); });
  EXPECT_NE(message.find("/proc/self: cannot be written"), std::string::npos) << message;
}

// An archive may hold a pipe under any name; reading it would wait for ever.
TEST(ReadFile, RefusesAPipeUnlessOneIsWanted) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(user_error([&] { read_file(folder / "pipe"); }),
            (folder / "pipe").string() + ": is a pipe or a device, a file is expected");
  std::thread writer([&] { put(folder / "pipe", "said"); });
  EXPECT_EQ(read_file_or_pipe(folder / "pipe"), "said");
  writer.join();
}

}  // namespace
}  // namespace higgs::test
