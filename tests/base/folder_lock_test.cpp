// One run at a time in a folder.
#include "higgs/base/folder_lock.h"

#include <gtest/gtest.h>

#include "higgs/base/error.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

TEST(FolderLock, HoldsOneAtATime) {
  const TemporaryFolder folder;
  {
    const FolderLock first(folder.path());
    EXPECT_NE(user_error([&] { FolderLock second(folder.path()); }).find("another run is writing there"),
              std::string::npos);
    EXPECT_TRUE(fs::is_empty(folder.path()));
  }
  EXPECT_NO_THROW(FolderLock again(folder.path()));
}

TEST(FolderLock, MovesWithItsHolder) {
  const TemporaryFolder folder;
  FolderLock outer;
  {
    FolderLock inner(folder.path());
    outer = std::move(inner);
  }
  EXPECT_THROW(FolderLock(folder.path()), UserError);
}

}  // namespace
}  // namespace higgs::test
