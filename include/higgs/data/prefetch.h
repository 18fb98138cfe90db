// Makes things ahead of their use, on threads of its own, and hands them out in order. Torch-free.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {

struct PrefetchOptions {
  int num_workers = 1;        // threads; 0: next() makes each item itself
  std::size_t max_bytes = 0;  // of items made or being made and not yet taken; two are always allowed
};

template <typename Job, typename Item>
class Prefetcher {
 public:
  // `source` yields one job after the other, then nothing; it is called by one thread at a time. `make` runs
  // on several at once. `size` is an item's bytes.
  Prefetcher(const PrefetchOptions& options, std::function<std::optional<Job>()> source,
             std::function<Item(const Job&)> make, std::function<std::size_t(const Item&)> size)
      : options_(options), source_(std::move(source)), make_(std::move(make)), size_(std::move(size)) {
    for (int i = 0; i < options_.num_workers; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next job's item, waiting until it is made. What `source` or `make` threw comes out here in its turn.
  // May be called as often as there are jobs.
  Item next() {
    const auto begin = Clock::now();
    if (options_.num_workers == 0) {
      const std::optional<Job> job = source_();
      HIGGS_ASSERT(job.has_value());
      Item item = make_(*job);
      waited_ += Clock::now() - begin;
      return item;
    }
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return slots_.empty() ? finished_ : slots_.front()->done; });
    HIGGS_ASSERT(!slots_.empty());
    const std::shared_ptr<Slot> slot = slots_.front();
    slots_.pop_front();
    if (slot->item) ready_bytes_ -= slot->bytes;
    lock.unlock();
    room_.notify_all();
    waited_ += Clock::now() - begin;
    if (slot->error) std::rethrow_exception(slot->error);
    return std::move(*slot->item);
  }

  // How long next() has taken in all.
  double waited_seconds() const { return std::chrono::duration<double>(waited_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    bool done = false;
    std::optional<Item> item;
    std::exception_ptr error;
    std::size_t bytes = 0;
  };

  // Whether one more may be begun; those under way count as the average of all made so far.
  bool has_room() const {
    if (slots_.size() < 2) return true;
    if (num_made_ == 0) return slots_.size() < static_cast<std::size_t>(options_.num_workers);
    const std::size_t average = made_bytes_ / num_made_;
    std::size_t under_way = 1;
    for (const auto& slot : slots_) under_way += slot->done ? 0 : 1;
    return ready_bytes_ + under_way * average <= options_.max_bytes;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stopping_ || finished_ || has_room(); });
      if (stopping_ || finished_) return;
      const auto slot = std::make_shared<Slot>();
      std::optional<Job> job;
      try {
        job = source_();
      } catch (...) {
        slot->error = std::current_exception();
      }
      if (!job) finished_ = true;
      if (job || slot->error) slots_.push_back(slot);
      if (job) {
        lock.unlock();
        try {
          slot->item = make_(*job);
          slot->bytes = size_(*slot->item);
        } catch (...) {
          slot->item.reset();
          slot->error = std::current_exception();
        }
        lock.lock();
        if (slot->item) {
          ready_bytes_ += slot->bytes;
          made_bytes_ += slot->bytes;
          ++num_made_;
        }
      }
      slot->done = true;
      ready_.notify_all();
      room_.notify_all();
    }
  }

  PrefetchOptions options_;
  std::function<std::optional<Job>()> source_;
  std::function<Item(const Job&)> make_;
  std::function<std::size_t(const Item&)> size_;
  Clock::duration waited_{};  // of the thread that calls next()
  std::mutex mutex_;          // guards what follows
  std::condition_variable ready_, room_;
  std::deque<std::shared_ptr<Slot>> slots_;  // jobs under way or done, in order
  std::size_t ready_bytes_ = 0, made_bytes_ = 0, num_made_ = 0;
  bool finished_ = false, stopping_ = false;
  std::vector<std::thread> workers_;  // last: they use what stands above, and never this
};

}  // namespace higgs
