// What is counted of the calls that CUPTI tells of; a stand-in tells them (fake_cupti.cpp).
#include "host_waits.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <thread>

#include "kernel_times.h"

namespace higgs::trace {
namespace {

class HostWaitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    void* const library = ::dlopen("libcupti.so.13", RTLD_NOW | RTLD_GLOBAL);
    if (library != nullptr) {
      tell_ = reinterpret_cast<decltype(tell_)>(::dlsym(library, "fake_call"));
      copy_ = reinterpret_cast<decltype(copy_)>(::dlsym(library, "fake_copy"));
    }
    if (tell_ == nullptr) GTEST_SKIP() << "the stand-in for CUPTI is not here (cupti.h was not found)";
  }

  void runtime(const char* name) const { nested(name, nullptr); }
  void driver(const char* name) const {
    tell_(0, 1, name, nullptr);
    tell_(0, 0, name, nullptr);
  }
  // A call of the runtime that makes one of the driver.
  void nested(const char* name, const char* inner) const {
    tell_(1, 1, name, nullptr);
    if (inner != nullptr) driver(inner);
    tell_(1, 0, name, nullptr);
  }
  void copy(std::uintptr_t from, std::uintptr_t to) const {
    copy_(reinterpret_cast<const void*>(from), reinterpret_cast<void*>(to));
  }

  void (*tell_)(int, int, const char*, const void*) = nullptr;
  void (*copy_)(const void*, void*) = nullptr;
};

TEST_F(HostWaitsTest, AWaitIsCountedOnceWhoeverMakesIt) {
  HostWaits counter;
  ASSERT_EQ(counter.fault(), "");
  runtime("cudaLaunchKernel");
  nested("cudaStreamSynchronize", "cuStreamSynchronize");
  nested("cudaStreamSynchronize_ptsz", "cuStreamSynchronize");
  driver("cuStreamSynchronize");  // by a library that knows only the driver
  std::thread([&] { nested("cudaEventSynchronize", "cuEventSynchronize"); }).join();
  EXPECT_EQ(
      counter.waits(),
      (CallCounts{{"cudaEventSynchronize", 1}, {"cudaStreamSynchronize", 2}, {"cuStreamSynchronize", 1}}));
}

TEST_F(HostWaitsTest, AllocationsAreNoWaits) {
  HostWaits counter;
  nested("cudaMalloc", "cuMemAlloc_v2");
  runtime("cudaFree");
  EXPECT_EQ(counter.allocations(), (CallCounts{{"cudaMalloc", 1}}));
  EXPECT_EQ(counter.waits(), (CallCounts{{"cudaFree", 1}}));
}

TEST_F(HostWaitsTest, CopiesOfPageableMemoryWait) {
  HostWaits counter;
  copy(1000, 2000);
  EXPECT_EQ(counter.waits(), CallCounts());
  copy(1001, 2000);
  copy(1000, 2001);
  EXPECT_EQ(counter.waits(), (CallCounts{{kPageableCopy, 2}}));
}

TEST_F(HostWaitsTest, CountsFromTheLastResetOnAndOnlyWhileItIsThere) {
  {
    HostWaits counter;
    runtime("cudaDeviceSynchronize");
    counter.reset();
    EXPECT_EQ(counter.waits(), CallCounts());
    {
      const HostWaits second;
      EXPECT_EQ(second.fault(), "CUPTI: said by the fake");
    }
    runtime("cudaDeviceSynchronize");
    EXPECT_EQ(counter.waits(), (CallCounts{{"cudaDeviceSynchronize", 1}}));
  }
  runtime("cudaDeviceSynchronize");
  HostWaits counter;
  EXPECT_EQ(counter.fault(), "");
  EXPECT_EQ(counter.waits(), CallCounts());
}

TEST_F(HostWaitsTest, DeviceTimeIsSummedUpByName) {
  ASSERT_EQ(record_kernel_times(), "");
  kernel_times();
  const auto times = kernel_times();  // the stand-in tells of the same two at each request
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times.at("a_kernel").count, 2);
  EXPECT_EQ(times.at("a_kernel").nanoseconds, 500);
  EXPECT_EQ(times.at("copy, device to host").bytes, 128);
}

}  // namespace
}  // namespace higgs::trace
