// A job beside its owner.
#include "higgs/base/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "higgs/base/error.h"

namespace higgs::test {
namespace {

void sleep_for(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST(Background, WorksWhileTheOwnerGoesOn) {
  Background thread("idle");
  std::atomic<bool> go{false};
  int result = 0;
  thread.start("busy", [&] {
    while (!go) sleep_for(1);
    result = 7;
  });
  EXPECT_FALSE(thread.finished());
  EXPECT_TRUE(thread.started());
  go = true;
  thread.wait();
  EXPECT_EQ(result, 7);
  EXPECT_TRUE(thread.finished());
  EXPECT_FALSE(thread.started());
}

TEST(Background, DoesOneJobAfterAnother) {
  Background thread("idle");
  int sum = 0;
  for (int i = 1; i <= 100; ++i) {
    thread.start("job", [&sum, i] { sum += i; });
    thread.wait();
  }
  EXPECT_EQ(sum, 5050);
}

TEST(Background, WhatAJobThrowsComesOutOfWaitOnce) {
  Background thread("idle");
  thread.start("job", [] { throw RunError("disk full"); });
  EXPECT_THROW(thread.wait(), RunError);
  int done = 0;
  thread.start("job", [&] { ++done; });
  EXPECT_NO_THROW(thread.wait());
  EXPECT_EQ(done, 1);
}

TEST(Background, WaitingSaysThatItWaits) {
  Background thread("idle");
  int calls = 0;
  thread.start("slow", [] { sleep_for(1200); });
  thread.wait([&] { ++calls; });
  EXPECT_GE(calls, 1);
}

TEST(Background, EndsTheJobAtHandBeforeItGoes) {
  std::atomic<bool> done{false};
  {
    Background thread("idle");
    thread.start("job", [&] {
      sleep_for(50);
      done = true;
    });
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace higgs::test
