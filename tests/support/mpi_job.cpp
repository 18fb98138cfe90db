#include "support/mpi_job.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace higgs::test {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The process of a rank that mpirun (`parent`) started, 0 when there is none yet.
pid_t find_rank(pid_t parent, int rank) {
  const std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::istringstream status(content_of(entry.path() / "stat"));
    std::string skipped, state;
    pid_t of = 0;
    status >> skipped >> skipped >> state >> of;
    if (of != parent) continue;
    std::istringstream variables(content_of(entry.path() / "environ"));
    for (std::string variable; std::getline(variables, variable, '\0');) {
      if (variable == wanted) return pid;
    }
  }
  return 0;
}

bool shows(pid_t pid, const std::string& phase) {
  std::error_code error;
  for (const fs::directory_entry& task :
       fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    if (content_of(task.path() / "comm") == phase.substr(0, 15) + "\n") return true;
  }
  return false;
}

std::vector<std::string> with_mpirun(std::vector<std::string> command) {
  const std::vector<std::string> start = {"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to",
                                          "none"};
  command.insert(command.begin(), start.begin(), start.end());
  return command;
}

}  // namespace

MpiJob::MpiJob(const std::vector<std::string>& command, const Environment& variables)
    : process_(with_mpirun(command), variables), marked_(now_seconds()) {}

pid_t MpiJob::pid(int rank) {
  for (const double deadline = now_seconds() + 30; ranks_.count(rank) == 0;) {
    if (const pid_t found = find_rank(process_.pid(), rank); found != 0) ranks_[rank] = found;
    if (!process_.running() || now_seconds() > deadline) throw std::runtime_error("rank did not start");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return ranks_[rank];
}

void MpiJob::wait_for(int rank, const std::string& phase) {
  const pid_t process = pid(rank);
  for (const double deadline = now_seconds() + 60; !shows(process, phase);) {
    if (!process_.running()) throw std::runtime_error("ended before '" + phase + "': " + process_.wait().err);
    if (now_seconds() > deadline) throw std::runtime_error("never came to '" + phase + "'");
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
}

void MpiJob::send(int rank, int signal) {
  ::kill(pid(rank), signal);
  mark();
}

void MpiJob::mark() {
  marked_ = now_seconds();
}

std::size_t MpiJob::virtual_bytes(int rank) {
  std::size_t pages = 0;
  std::istringstream(content_of("/proc/" + std::to_string(pid(rank)) + "/statm")) >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

MpiJob::End MpiJob::wait() {
  End end;
  end.result = process_.wait();
  end.seconds = now_seconds() - marked_;
  for (const std::string& line : lines_of(end.result.err)) {
    if (line.rfind("higgs_train: ", 0) == 0) end.lines.push_back(line);
  }
  return end;
}

}  // namespace higgs::test
