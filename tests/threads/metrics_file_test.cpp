// metrics.jsonl: one thread adds lines, the one that saves brings them to the disk.
#include "higgs/report/metrics_file.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/process.h"

namespace higgs::test {
namespace {

TEST(MetricsFile, IsSyncedWhileLinesAreAdded) {
  const TemporaryFolder folder;
  MetricsFile file;
  file.open(folder / "metrics.jsonl");
  std::atomic<bool> done{false};
  int syncs = 0;
  std::thread saver([&] {
    while (!done || syncs == 0) {
      EXPECT_NO_THROW(file.sync());
      ++syncs;
    }
  });
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(file.append(std::to_string(i)), "");
  done = true;
  saver.join();
  const auto lines = lines_of(text_of(folder / "metrics.jsonl"));
  ASSERT_EQ(lines.size(), 2000u);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)], std::to_string(i));
}

}  // namespace
}  // namespace higgs::test
