// Which CUDA calls count as waiting for the device (bench/trace): known by name, whichever version was
// called.
#include "call_names.h"

#include <gtest/gtest.h>

namespace higgs::trace {
namespace {

TEST(CallNames, VersionAndKindOfStreamAreNoPartOfAName) {
  EXPECT_EQ(plain_name("cudaStreamSynchronize"), "cudaStreamSynchronize");
  EXPECT_EQ(plain_name("cudaStreamSynchronize_ptsz"), "cudaStreamSynchronize");
  EXPECT_EQ(plain_name("cudaMemcpy_v3020_ptds"), "cudaMemcpy");
  EXPECT_EQ(plain_name("cuMemcpyDtoH_v2"), "cuMemcpyDtoH");
  EXPECT_EQ(plain_name("cuMemcpyDtoHAsync_v2_ptsz"), "cuMemcpyDtoHAsync");
  EXPECT_EQ(plain_name("a_version"), "a_version");
  EXPECT_EQ(plain_name(""), "");
}

TEST(CallNames, SynchronisationBlockingCopiesAndFreesWait) {
  for (const char* name : {"cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize",
                           "cudaMemcpy", "cudaFree", "cuCtxSynchronize", "cuMemcpyDtoH", "cuMemFreeHost"}) {
    EXPECT_TRUE(waits_for_device(name)) << name;
  }
}

TEST(CallNames, WhatIsOnlyQueuedDoesNotWait) {
  for (const char* name : {"cudaLaunchKernel", "cudaMemcpyAsync", "cudaMemsetAsync", "cudaEventRecord",
                           "cudaEventQuery", "cudaStreamWaitEvent", "cudaMalloc", "cuMemcpyDtoHAsync"}) {
    EXPECT_FALSE(waits_for_device(name)) << name;
  }
  EXPECT_TRUE(allocates("cudaMalloc"));
  EXPECT_TRUE(copies_beside_host("cudaMemcpyAsync"));
  EXPECT_FALSE(copies_beside_host("cudaMemcpy"));
}

}  // namespace
}  // namespace higgs::trace
