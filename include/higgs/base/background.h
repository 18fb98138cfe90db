// A thread that does one job at a time while its owner goes on: writing a checkpoint beside training.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace higgs {

class Background {
 public:
  // `name`: of the thread while it has nothing to do, as the system's tools show it.
  explicit Background(std::string name);
  ~Background();  // ends the job at hand first; what it throws then is lost, so wait() before
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Hands a job over; `name` is the thread's during it. The job before must have been waited for.
  void start(const std::string& name, std::function<void()> job);
  // Whether a job was started that no wait() has returned from yet.
  bool started() const { return started_; }
  // Whether wait() would return at once.
  bool finished();
  // Until the job is done; calls `meanwhile` every half second. Throws what the job threw.
  void wait(const std::function<void()>& meanwhile = [] {});
  // Until no thread of the process is at a job, or so many seconds have passed: for who must end the process.
  static void wait_for_all(double seconds);

 private:
  void work(const std::string& idle_name);

  bool started_ = false;  // the owner's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  std::string job_name_;
  bool busy_ = false, ending_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace higgs
