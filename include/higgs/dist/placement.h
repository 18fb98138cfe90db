// Where on the machine a process computes: which CPUs it may use, and how many threads it takes.
#pragma once

#include <string>
#include <vector>

#include "higgs/dist/launch.h"

namespace higgs {

// "0-3,8" -> {0, 1, 2, 3, 8} (Linux cpulist).
std::vector<int> parse_cpu_list(const std::string& text);

// mpirun binds a process to one core, where its loader threads and the computation would take turns. A
// process that an MPI launcher bound so may use its NUMA node instead; any other binding stays. Returns what
// was done as a sentence, "" for nothing. Call it before other threads are started: they inherit the binding.
std::string widen_binding(const LaunchInfo& launch);

// CPUs that this process may use.
int num_usable_cpus();

// Threads of one operation on the CPU: the machine's CPUs shared out among the processes on it; 0, meaning
// LibTorch's own choice, for a process alone or where OMP_NUM_THREADS is set.
int num_compute_threads(const LaunchInfo& launch);

// Threads that load batches: the CPUs this process may use, shared out among the processes of the machine, at
// most 16.
int num_loader_threads(const LaunchInfo& launch);

}  // namespace higgs
