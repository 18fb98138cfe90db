// Messages from several threads: whole lines, each once.
#include "higgs/base/log.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <thread>
#include <vector>

namespace higgs::test {
namespace {

constexpr int kThreads = 4, kMessages = 200;

// What they write to stderr, line by line: how often each came, behind its time.
std::map<std::string, int> lines_of_threads(const std::function<void(int thread, int message)>& say) {
  ::testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&say, i] {
      for (int k = 0; k < kMessages; ++k) say(i, k);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream text(::testing::internal::GetCapturedStderr());
  std::map<std::string, int> lines;
  for (std::string line; std::getline(text, line);)
    ++lines[line.substr(std::min(line.size(), std::size_t{9}))];
  return lines;
}

TEST(LogFromThreads, LinesStayWhole) {
  const auto lines = lines_of_threads(
      [](int thread, int k) { log::info("message " + std::to_string(k) + " of " + std::to_string(thread)); });
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(kThreads * kMessages));
  EXPECT_EQ(lines.count("info message 199 of 3"), 1u);
}

TEST(LogFromThreads, WhatIsSaidOnceIsSaidOnce) {
  const auto lines = lines_of_threads([](int, int k) { log::warn_once("kind " + std::to_string(k % 3)); });
  EXPECT_EQ(lines, (std::map<std::string, int>{
                       {"warning kind 0", 1}, {"warning kind 1", 1}, {"warning kind 2", 1}}));
}

TEST(LogFromThreads, ErrorsComeThroughWhenQuiet) {
  const auto lines = lines_of_threads([](int thread, int k) {
    log::set_quiet(true);
    if (k == 0) log::error("of " + std::to_string(thread));
    log::info("never");
  });
  log::set_quiet(false);
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(kThreads));
}

}  // namespace
}  // namespace higgs::test
