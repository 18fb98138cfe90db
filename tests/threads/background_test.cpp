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

TEST(Background, WhoEndsTheProcessCanWaitForAllJobs) {
  Background first("idle"), second("idle");
  std::atomic<int> done{0};
  for (Background* thread : {&first, &second}) {
    thread->start("job", [&] {
      sleep_for(60);
      ++done;
    });
  }
  Background::wait_for_all(10.0);
  EXPECT_EQ(done, 2);
  first.wait();
  second.wait();
  std::atomic<bool> go{false};
  first.start("stuck", [&] {
    while (!go) sleep_for(1);
  });
  Background::wait_for_all(0.02);
  go = true;
  first.wait();
}

}  // namespace
}  // namespace higgs::test
