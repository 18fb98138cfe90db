#include "higgs/dist/placement.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace higgs {
namespace {

namespace fs = std::filesystem;
const fs::path kCpus = "/sys/devices/system/cpu";
const fs::path kNodes = "/sys/devices/system/node";

std::string first_line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// The NUMA node of a CPU, where the kernel tells.
std::optional<int> node_of(int cpu) {
  std::error_code error;
  const fs::directory_iterator entries(kCpus / ("cpu" + std::to_string(cpu)), error);
  if (error) return std::nullopt;
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename();
    if (name.rfind("node", 0) == 0 && name.size() > 4) return std::atoi(name.c_str() + 4);
  }
  return std::nullopt;
}

// True when `cpus` are hardware threads of one core.
bool is_one_core(const std::vector<int>& cpus) {
  if (cpus.size() <= 1) return !cpus.empty();
  const std::vector<int> core = parse_cpu_list(
      first_line_of(kCpus / ("cpu" + std::to_string(cpus[0])) / "topology" / "thread_siblings_list"));
  return std::includes(core.begin(), core.end(), cpus.begin(), cpus.end());
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    int first = 0, last = 0;
    char dash = 0;
    std::istringstream numbers(part);
    if (!(numbers >> first)) continue;
    if (!(numbers >> dash >> last)) last = first;
    for (int cpu = first; cpu <= last && cpu < CPU_SETSIZE; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::string widen_binding(const LaunchInfo& launch) {
  if (launch.launcher != "Open MPI" && launch.launcher != "PMI") return "";
  const std::vector<int> before = allowed_cpus();
  if (!is_one_core(before)) return "";
  const auto node = node_of(before[0]);
  const std::vector<int> wider = parse_cpu_list(
      first_line_of(node ? kNodes / ("node" + std::to_string(*node)) / "cpulist" : kCpus / "online"));
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : wider) CPU_SET(cpu, &set);
  // The kernel leaves out what the job's cgroup doesn't allow.
  if (wider.empty() || ::sched_setaffinity(0, sizeof set, &set) != 0) return "";
  const std::size_t after = allowed_cpus().size();
  if (after <= before.size()) return "";
  return "mpirun bound each process to one core; widened to the " + std::to_string(after) + " CPUs of " +
         (node ? "NUMA node " + std::to_string(*node) : "the machine") + " (mpirun --bind-to none)";
}

int num_usable_cpus() {
  return std::max(1, static_cast<int>(allowed_cpus().size()));
}

namespace {

int cpus_of_a_process(const LaunchInfo& launch) {
  const int machine = std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
  return std::max(1, std::min(num_usable_cpus(), machine / launch.local_size));
}

}  // namespace

int num_compute_threads(const LaunchInfo& launch) {
  if (launch.local_size <= 1 || std::getenv("OMP_NUM_THREADS") != nullptr) return 0;
  return cpus_of_a_process(launch);
}

int num_loader_threads(const LaunchInfo& launch) {
  return std::min(16, cpus_of_a_process(launch));
}

}  // namespace higgs
