#include "higgs/dist/launch.h"

#include <unistd.h>

#include <cstdlib>

#include "higgs/base/error.h"
#include "higgs/dist/slurm.h"

namespace higgs {
namespace {

using Lookup = std::function<std::optional<std::string>(const char*)>;

int number(const char* name, const std::string& text) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 0 || value > 1000000) {
    throw UserError(std::string("environment variable ") + name + "='" + text + "' must be a whole number");
  }
  return static_cast<int>(value);
}

std::optional<int> find_number(const Lookup& get, const char* name) {
  const auto text = get(name);
  return text ? std::optional<int>(number(name, *text)) : std::nullopt;
}

// What one launcher sets. The first whose rank variable is there decides.
struct Launcher {
  const char* name;
  const char* rank;
  const char* world_size;
  const char* local_rank;
  const char* local_size;
  const char* job;  // identifies the job, so that two jobs on a machine take different ports
};
constexpr Launcher kByHand = {"RANK and WORLD_SIZE", "RANK",       "WORLD_SIZE", "LOCAL_RANK",
                              "LOCAL_WORLD_SIZE",    "MASTER_PORT"};
constexpr Launcher kTorchrun = {"torchrun",           "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
                                "TORCHELASTIC_RUN_ID"};
constexpr Launcher kOpenMpi = {"Open MPI",
                               "OMPI_COMM_WORLD_RANK",
                               "OMPI_COMM_WORLD_SIZE",
                               "OMPI_COMM_WORLD_LOCAL_RANK",
                               "OMPI_COMM_WORLD_LOCAL_SIZE",
                               "PMIX_NAMESPACE"};
constexpr Launcher kPmi = {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMI_JOBID"};

std::string variable(const char* name) {
  return std::string("environment variable ") + name;
}

std::string shown(const char* name, int value) {
  return std::string(name) + "=" + std::to_string(value);
}

int need_number(const Lookup& get, const char* name, const char* because) {
  const auto value = find_number(get, name);
  if (!value) throw UserError(variable(name) + " is missing, though " + because + " is set");
  return *value;
}

// A port of the job's own, above those of services and below the ephemeral ones.
int port_of_job(const std::string& job) {
  std::uint32_t hash = 2166136261u;
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return 20000 + static_cast<int>(hash % 12000u);
}

void check_consistent(const LaunchInfo& info, const Launcher& launcher) {
  if (info.world_size < 1 || info.rank >= info.world_size) {
    throw UserError(variable(launcher.rank) + "=" + std::to_string(info.rank) + " contradicts " +
                    shown(launcher.world_size, info.world_size));
  }
  if (info.local_rank >= info.local_size || info.local_size > info.world_size) {
    throw UserError(variable(launcher.local_rank) + "=" + std::to_string(info.local_rank) + " contradicts " +
                    shown(launcher.local_size, info.local_size));
  }
}

// RANK and WORLD_SIZE set by hand stand beside what the launcher that really started the processes says. Left
// over from elsewhere, they would make every process believe it is the same rank.
void check_agreement(const Lookup& get, const LaunchInfo& info, const char* rank, const char* world_size) {
  const auto other_rank = find_number(get, rank);
  const auto other_size = find_number(get, world_size);
  if (other_rank && *other_rank != info.rank) {
    throw UserError(variable("RANK") + "=" + std::to_string(info.rank) + " contradicts " +
                    shown(rank, *other_rank) + "; unset RANK and WORLD_SIZE, or set them alike");
  }
  if (other_size && *other_size != info.world_size) {
    throw UserError(variable("WORLD_SIZE") + "=" + std::to_string(info.world_size) + " contradicts " +
                    shown(world_size, *other_size) + "; unset RANK and WORLD_SIZE, or set them alike");
  }
}

LaunchInfo read_variables(const Lookup& get, const Launcher& launcher) {
  LaunchInfo info;
  info.launcher = launcher.name;
  info.rank = need_number(get, launcher.rank, launcher.world_size);
  info.world_size = need_number(get, launcher.world_size, launcher.rank);
  const auto local_rank = find_number(get, launcher.local_rank);
  const auto local_size = find_number(get, launcher.local_size);
  const auto address = get("MASTER_ADDR");
  // Without them all are taken to be on one machine, which a far address contradicts.
  if (info.world_size > 1 && (!local_rank || !local_size) && address && !is_loopback(*address)) {
    throw UserError(variable(local_rank ? launcher.local_size : launcher.local_rank) +
                    " is missing, though " + "MASTER_ADDR=" + *address +
                    " is set: which GPU a process takes follows from it");
  }
  info.local_rank = local_rank.value_or(info.rank);
  info.local_size = local_size.value_or(info.world_size);
  check_consistent(info, launcher);
  info.job = get(launcher.job).value_or("");
  return info;
}

// Tasks of this task's node, as srun says in one of several ways.
int slurm_local_size(const Lookup& get, int world_size) {
  for (const char* name : {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}) {
    const auto text = get(name);
    if (!text) continue;
    const auto tasks = tasks_per_node(*text);
    if (!tasks) throw UserError(variable(name) + "='" + *text + "' can't be read");
    const auto node = static_cast<std::size_t>(find_number(get, "SLURM_NODEID").value_or(0));
    if (node >= tasks->size()) {
      throw UserError(variable("SLURM_NODEID") + "=" + std::to_string(node) + " contradicts " + name + "=" +
                      *text);
    }
    return (*tasks)[node];
  }
  return find_number(get, "SLURM_NTASKS_PER_NODE").value_or(world_size);
}

LaunchInfo read_slurm(const Lookup& get) {
  const char* size_name = get("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  const Launcher launcher = {"SLURM",         "SLURM_PROCID",         size_name,
                             "SLURM_LOCALID", "SLURM_TASKS_PER_NODE", "SLURM_JOB_ID"};
  LaunchInfo info;
  info.launcher = launcher.name;
  info.rank = need_number(get, launcher.rank, size_name);
  info.world_size = need_number(get, size_name, launcher.rank);
  if (info.world_size > 1 && !get("SLURM_STEP_ID") && get("ENVIRONMENT").value_or("") == "BATCH") {
    throw UserError(variable(size_name) + "=" + std::to_string(info.world_size) +
                    ", but the batch script started this process alone; write srun in front of higgs_train");
  }
  info.local_rank = info.world_size > 1 ? need_number(get, launcher.local_rank, launcher.rank) : 0;
  info.local_size = info.world_size > 1 ? slurm_local_size(get, info.world_size) : 1;
  check_consistent(info, launcher);
  info.job = get("SLURM_JOB_ID").value_or("") + "." + get("SLURM_STEP_ID").value_or("");
  return info;
}

// The launcher's ranks; nothing when none is there.
std::optional<LaunchInfo> read_ranks(const Lookup& get) {
  const auto there = [&](const Launcher& launcher) {
    return get(launcher.rank).has_value() || get(launcher.world_size).has_value();
  };
  if (there(kTorchrun) && get("TORCHELASTIC_RUN_ID")) return read_variables(get, kTorchrun);
  if (there(kByHand)) {
    const LaunchInfo info = read_variables(get, kByHand);
    for (const Launcher& launcher : {kOpenMpi, kPmi}) {
      check_agreement(get, info, launcher.rank, launcher.world_size);
    }
    if (get("SLURM_STEP_ID") && !there(kOpenMpi)) {
      check_agreement(get, info, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
    }
    return info;
  }
  for (const Launcher& launcher : {kOpenMpi, kPmi}) {
    if (there(launcher)) return read_variables(get, launcher);
  }
  if (get("SLURM_PROCID")) return read_slurm(get);
  if (get("PMIX_RANK")) {
    throw UserError(variable("OMPI_COMM_WORLD_SIZE") +
                    " is missing, though PMIX_RANK is set; give RANK and WORLD_SIZE");
  }
  return std::nullopt;
}

// Where the ranks meet.
void find_master(const Lookup& get, LaunchInfo& info) {
  const auto address = get("MASTER_ADDR");
  if (address) {
    info.master_address = *address;
  } else if (!info.single_node()) {
    for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
      if (const auto nodes = get(name)) {
        info.master_address = first_host(*nodes);
        break;
      }
    }
    if (info.master_address == LaunchInfo{}.master_address) {
      throw UserError(
          variable("MASTER_ADDR") +
          " is missing: with more than one machine it names rank 0's (mpirun -x MASTER_ADDR=...)");
    }
  }
  const auto port = find_number(get, "MASTER_PORT");
  if (port && (*port < 1 || *port > 65535)) {
    throw UserError(variable("MASTER_PORT") + "=" + std::to_string(*port) + " is no port: 1 to 65535");
  }
  info.external_store = get("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (info.external_store && (!address || !port)) {
    throw UserError(variable(address ? "MASTER_PORT" : "MASTER_ADDR") +
                    " is missing, though TORCHELASTIC_USE_AGENT_STORE is set");
  }
  info.master_port = port ? *port : port_of_job(info.job.empty() ? "higgs_train" : info.job);
}

}  // namespace

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return *name != '\0' ? name : "unknown";
}

LaunchInfo read_launch(const Lookup& get) {
  auto info = read_ranks(get);
  if (!info) return {};
  if (info->world_size > 1) find_master(get, *info);
  return *info;
}

LaunchInfo read_launch() {
  return read_launch([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  });
}

}  // namespace higgs
