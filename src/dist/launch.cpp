#include "higgs/dist/launch.h"

#include <array>
#include <cstdlib>

#include "higgs/base/error.h"

namespace higgs {
namespace {

using Lookup = std::function<std::optional<std::string>(const char*)>;

// The variables one launcher sets; the first launcher whose rank variable is there decides.
struct Launcher {
  const char* name;
  const char* rank;
  const char* world_size;
  const char* local_rank;
  const char* local_size;
  const char* job;  // identifies the job, so that two jobs on a machine take different ports
};
constexpr std::array<Launcher, 4> kLaunchers = {{
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE"},
    {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMI_JOBID"},
    {"SLURM", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE", "SLURM_JOB_ID"},
}};

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

int need_number(const Lookup& get, const char* name, const char* because) {
  const auto value = find_number(get, name);
  if (!value)
    throw UserError(std::string("environment variable ") + name + " is missing, though " + because +
                    " is set");
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
    throw UserError(std::string("environment variable ") + launcher.rank + "=" + std::to_string(info.rank) +
                    " contradicts " + launcher.world_size + "=" + std::to_string(info.world_size));
  }
  if (info.local_rank >= info.local_size || info.local_size > info.world_size) {
    throw UserError(std::string("environment variable ") + launcher.local_rank + "=" +
                    std::to_string(info.local_rank) + " contradicts " + launcher.local_size + "=" +
                    std::to_string(info.local_size));
  }
}

}  // namespace

LaunchInfo read_launch(const Lookup& get) {
  LaunchInfo info;
  for (const Launcher& launcher : kLaunchers) {
    const auto rank = find_number(get, launcher.rank);
    if (!rank) continue;
    info.rank = *rank;
    info.world_size = need_number(get, launcher.world_size, launcher.rank);
    info.local_rank = find_number(get, launcher.local_rank).value_or(info.rank);
    info.local_size = find_number(get, launcher.local_size).value_or(info.world_size);
    check_consistent(info, launcher);
    if (info.world_size == 1) return info;
    const auto address = get("MASTER_ADDR");
    if (!address && !info.single_node()) {
      throw UserError(
          "environment variable MASTER_ADDR is missing: with more than one machine it names rank 0's "
          "(mpirun -x MASTER_ADDR=...)");
    }
    info.master_address = address.value_or("127.0.0.1");
    const auto port = find_number(get, "MASTER_PORT");
    info.master_port = port ? *port : port_of_job(get(launcher.job).value_or("higgs_train"));
    info.external_store = get("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
    return info;
  }
  return info;
}

LaunchInfo read_launch() {
  return read_launch([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  });
}

}  // namespace higgs
