#include "higgs/base/background.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "higgs/base/error.h"

namespace higgs {
namespace {

void name_this_thread(const std::string& name) {
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
}

std::atomic<int> jobs_at_work{0};  // of all threads

}  // namespace

Background::Background(std::string name) {
  // Signals are the main thread's: the new one inherits a mask without them.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, idle = std::move(name)] { work(idle); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::work(const std::string& idle_name) {
  std::unique_lock lock(mutex_);
  for (;;) {
    name_this_thread(idle_name);
    changed_.wait(lock, [this] { return busy_ || ending_; });
    if (!busy_) return;
    const std::function<void()> job = std::exchange(job_, nullptr);
    name_this_thread(job_name_);
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) {
      error = std::current_exception();
    }
    --jobs_at_work;
    lock.lock();
    error_ = error;
    busy_ = false;
    changed_.notify_all();
  }
}

void Background::wait_for_all(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (jobs_at_work > 0 && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

void Background::start(const std::string& name, std::function<void()> job) {
  HIGGS_ASSERT(!started_);
  started_ = true;
  ++jobs_at_work;
  {
    const std::lock_guard lock(mutex_);
    job_ = std::move(job);
    job_name_ = name;
    busy_ = true;
  }
  changed_.notify_all();
}

bool Background::finished() {
  const std::lock_guard lock(mutex_);
  return !busy_;
}

void Background::wait(const std::function<void()>& meanwhile) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return !busy_; })) {
    lock.unlock();
    meanwhile();
    lock.lock();
  }
  started_ = false;
  if (const std::exception_ptr error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace higgs
