// Things come in order, whichever thread was first, and no more are made ahead than memory allows.
#include "higgs/data/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <stdexcept>

namespace higgs {
namespace {

using std::chrono::milliseconds;

// Jobs 0 .. count - 1; an item is its job's number.
class Numbers {
 public:
  explicit Numbers(int count) : count_(count) {}
  Prefetcher<int, int> make(const PrefetchOptions& options, std::function<int(int)> work,
                            std::size_t bytes = 1) {
    return Prefetcher<int, int>(
        options, [this]() { return next_ < count_ ? std::optional<int>(next_++) : std::nullopt; },
        [work = std::move(work)](const int& job) { return work(job); },
        [bytes](const int&) { return bytes; });
  }
  int begun() const { return next_; }

 private:
  int count_;
  std::atomic<int> next_{0};
};

TEST(Prefetch, OrderDoesNotDependOnWorkers) {
  for (const int workers : {0, 1, 2, 8}) {
    Numbers numbers(100);
    auto prefetcher = numbers.make({workers, 1000}, [](int job) {
      std::mt19937 random(static_cast<unsigned>(job));
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
      return job;
    });
    for (int i = 0; i < 100; ++i) ASSERT_EQ(prefetcher.next(), i) << workers;
  }
}

// Whatever a consumer does, at most so many bytes lie ready.
TEST(Prefetch, StaysWithinItsMemory) {
  for (const std::size_t limit : {0, 300, 1000}) {
    Numbers numbers(1000);
    auto prefetcher = numbers.make(
        {4, limit}, [](int job) { return job; }, 100);
    const int most = std::max(2, static_cast<int>(limit) / 100);
    for (int taken = 0; taken < 50; ++taken) {
      std::this_thread::sleep_for(milliseconds(1));
      // While no item has been made, their size isn't known: one for each worker then.
      EXPECT_LE(numbers.begun() - taken, std::max(most, taken == 0 ? 4 : 0)) << limit;
      prefetcher.next();
    }
    EXPECT_GE(numbers.begun(), 50);
  }
}

TEST(Prefetch, WorksAheadWhenThereIsRoom) {
  Numbers numbers(100);
  auto prefetcher = numbers.make({2, 20}, [](int job) { return job; });
  prefetcher.next();
  for (int i = 0; i < 2000 && numbers.begun() < 21; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(numbers.begun(), 21);
}

TEST(Prefetch, AnErrorComesInItsTurn) {
  for (const int workers : {0, 3}) {
    Numbers numbers(10);
    auto prefetcher = numbers.make({workers, 100}, [](int job) {
      if (job == 4) throw std::runtime_error("job 4");
      return job;
    });
    for (int i = 0; i < 4; ++i) EXPECT_EQ(prefetcher.next(), i);
    try {
      prefetcher.next();
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "job 4");
    }
    EXPECT_EQ(prefetcher.next(), 5);
  }
}

TEST(Prefetch, AnErrorOfTheSourceComesInItsTurn) {
  int next = 0;
  Prefetcher<int, int> prefetcher(
      {2, 100},
      [&]() -> std::optional<int> {
        if (next == 3) throw std::runtime_error("no more");
        return next++;
      },
      [](const int& job) { return job; }, [](const int&) { return std::size_t{1}; });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(prefetcher.next(), i);
  EXPECT_THROW(prefetcher.next(), std::runtime_error);
}

TEST(Prefetch, EndsEarlyWithoutBeingEmptied) {
  for (int round = 0; round < 20; ++round) {
    Numbers numbers(1000);
    auto prefetcher = numbers.make({4, 50}, [](int job) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      return job;
    });
    for (int i = 0; i < round; ++i) prefetcher.next();
  }
}

TEST(Prefetch, CountsTheTimeWaitedOnly) {
  Numbers numbers(3);
  auto slow = numbers.make({1, 100}, [](int job) {
    std::this_thread::sleep_for(milliseconds(job == 0 ? 100 : 0));
    return job;
  });
  slow.next();
  const double waited = slow.waited_seconds();
  EXPECT_GT(waited, 0.08);
  std::this_thread::sleep_for(milliseconds(100));  // the consumer's own work
  slow.next();
  EXPECT_LT(slow.waited_seconds() - waited, 0.08);
}

}  // namespace
}  // namespace higgs
