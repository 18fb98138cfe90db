#include "job.h"

#include <signal.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace higgs::test {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void sleep_seconds(double seconds) {
  if (seconds > 0) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

Job::Job(int ranks, const Arguments& command, const Environment& variables) : ranks_(ranks) {
  if (ranks == 1) {
    alone_ = std::make_unique<Process>(command, variables);
  } else {
    under_mpirun_ = std::make_unique<MpiJob>(Arguments{"-np", std::to_string(ranks)} + command, variables);
  }
}

bool Job::running() {
  return alone_ ? alone_->running() : under_mpirun_->running();
}

pid_t Job::launcher() const {
  return alone_ ? alone_->pid() : under_mpirun_->launcher();
}

void Job::send(int rank, int signal) {
  if (alone_) {
    if (alone_->running()) alone_->send(signal);
    return;
  }
  try {
    under_mpirun_->send(rank, signal);
  } catch (const std::exception&) {
    // It ended before.
  }
}

std::optional<ProcessResult> Job::wait(double seconds) {
  for (const double deadline = now_seconds() + seconds; running(); sleep_seconds(1e-3)) {
    if (now_seconds() < deadline) continue;
    for (int rank = 0; rank < ranks_; ++rank) send(rank, SIGKILL);
    if (under_mpirun_) ::kill(under_mpirun_->launcher(), SIGKILL);
    if (alone_) alone_->wait();
    return std::nullopt;
  }
  return alone_ ? alone_->wait() : under_mpirun_->wait().result;
}

ProcessResult run_job(int ranks, const Arguments& command, const Environment& variables, double seconds) {
  Job job(ranks, command, variables);
  const auto result = job.wait(seconds);
  if (!result)
    throw std::runtime_error("still running after " + std::to_string(seconds) + " s: " + command.at(1));
  return *result;
}

std::vector<std::string> last_words(const ProcessResult& result) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_of(result.err)) {
    if (line.rfind("higgs_train: ", 0) == 0) lines.push_back(line);
  }
  return lines;
}

std::string ending_text(const ProcessResult& result) {
  return result.signal != 0 ? "signal " + std::to_string(result.signal)
                            : "exit code " + std::to_string(result.exit_code);
}

}  // namespace higgs::test
