// TensorBoard's event file: one thread adds points, the one that saves brings them to the disk.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "higgs/report/tensorboard.h"
#include "support/process.h"

namespace higgs::test {
namespace {

TEST(EventFile, IsSyncedWhilePointsAreAdded) {
  const TemporaryFolder folder;
  EventFile file(folder / "tensorboard");
  std::atomic<bool> done{false};
  std::thread saver([&] {
    while (!done) file.sync();
  });
  for (int step = 1; step <= 1000; ++step) {
    file.add_scalars(step, {{"train/loss", 1.0 / step}});
    EXPECT_EQ(file.flush(), "");
  }
  done = true;
  saver.join();
  EXPECT_EQ(snapshot(folder / "tensorboard").size(), 1u);
}

}  // namespace
}  // namespace higgs::test
