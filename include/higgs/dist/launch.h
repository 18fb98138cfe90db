// Who this process is among those started together: read from the launcher's variables.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace higgs {

struct LaunchInfo {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;  // among the processes of this machine
  int local_size = 1;
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  bool external_store = false;  // torchrun's agent keeps the store already
  std::string launcher;         // its name; "" for a process started alone
  std::string job;              // tells this job from others on the same machine

  bool single_node() const { return local_size == world_size; }
};

// Whether an address names this machine to itself only.
bool is_loopback(const std::string& address);
// This machine's name, in messages.
std::string host_name();

// Understands torchrun, RANK and WORLD_SIZE set by hand, Open MPI (also under SLURM), other PMI launchers and
// SLURM's srun. On one machine nothing else is needed: the address is the loopback's, the port follows from
// the job. On several, the address is MASTER_ADDR, or the first host of SLURM's list. `get` looks a variable
// up. UserError naming the variable when one is missing, is no number, or contradicts another.
LaunchInfo read_launch(const std::function<std::optional<std::string>(const char*)>& get);
LaunchInfo read_launch();  // from the environment

}  // namespace higgs
