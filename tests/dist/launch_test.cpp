#include "higgs/dist/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "higgs/dist/placement.h"
#include "higgs/dist/slurm.h"
#include "support/paths.h"

namespace higgs {
namespace {

LaunchInfo launch(const std::map<std::string, std::string>& variables) {
  return read_launch([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

TEST(Launch, APlainStartIsOneProcess) {
  const LaunchInfo info = launch({});
  EXPECT_EQ(info.rank, 0);
  EXPECT_EQ(info.world_size, 1);
}

TEST(Launch, ReadsOpenMpiAndNeedsNoAddressOnOneMachine) {
  const LaunchInfo info = launch({{"OMPI_COMM_WORLD_RANK", "3"},
                                  {"OMPI_COMM_WORLD_SIZE", "4"},
                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                                  {"PMIX_NAMESPACE", "12345"}});
  EXPECT_EQ(info.rank, 3);
  EXPECT_EQ(info.local_rank, 3);
  EXPECT_TRUE(info.single_node());
  EXPECT_EQ(info.master_address, "127.0.0.1");
  EXPECT_GT(info.master_port, 1024);
}

TEST(Launch, ReadsTorchrunWithItsStore) {
  const LaunchInfo info = launch({{"RANK", "9"},
                                  {"WORLD_SIZE", "16"},
                                  {"LOCAL_RANK", "1"},
                                  {"LOCAL_WORLD_SIZE", "8"},
                                  {"MASTER_ADDR", "node0"},
                                  {"MASTER_PORT", "29500"},
                                  {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(info.local_rank, 1);
  EXPECT_EQ(info.master_address, "node0");
  EXPECT_EQ(info.master_port, 29500);
  EXPECT_TRUE(info.external_store);
  EXPECT_FALSE(info.single_node());
}

// As srun sets them for the third of six tasks on two machines.
const std::map<std::string, std::string> kSrun = {{"SLURM_JOB_ID", "77"},
                                                  {"SLURM_STEP_ID", "0"},
                                                  {"SLURM_PROCID", "4"},
                                                  {"SLURM_LOCALID", "0"},
                                                  {"SLURM_NODEID", "1"},
                                                  {"SLURM_NTASKS", "6"},
                                                  {"SLURM_STEP_NUM_TASKS", "6"},
                                                  {"SLURM_STEP_TASKS_PER_NODE", "4,2"},
                                                  {"SLURM_STEP_NODELIST", "gpu[07-08]"}};

std::map<std::string, std::string> with(std::map<std::string, std::string> variables,
                                        const std::map<std::string, std::string>& changes) {
  for (const auto& [name, value] : changes) variables[name] = value;
  return variables;
}

TEST(Launch, ReadsSrunOnSeveralMachines) {
  const LaunchInfo info = launch(kSrun);
  EXPECT_EQ(info.rank, 4);
  EXPECT_EQ(info.world_size, 6);
  EXPECT_EQ(info.local_rank, 0);
  EXPECT_EQ(info.local_size, 2);
  EXPECT_EQ(info.master_address, "gpu07");
  EXPECT_GT(info.master_port, 1024);
  EXPECT_EQ(launch(with(kSrun, {{"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "4000"}})).master_address,
            "10.0.0.1");
}

// A step may take a part of the job.
TEST(Launch, SrunsStepCountsNotTheJob) {
  EXPECT_EQ(launch(with(kSrun, {{"SLURM_NTASKS", "64"}})).world_size, 6);
}

// mpirun under SLURM: its own variables count, and SLURM's list names the first machine.
TEST(Launch, OpenMpiUnderSlurmNeedsNoAddress) {
  const LaunchInfo info = launch(with(kSrun, {{"OMPI_COMM_WORLD_RANK", "9"},
                                              {"OMPI_COMM_WORLD_SIZE", "16"},
                                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "8"},
                                              {"SLURM_JOB_NODELIST", "n1,n2"}}));
  EXPECT_EQ(info.rank, 9);
  EXPECT_EQ(info.launcher, "Open MPI");
  EXPECT_EQ(info.master_address, "gpu07");
}

TEST(Launch, JobsOnOneMachineTakeDifferentPorts) {
  const auto port = [](const char* job, const char* step) {
    return launch({{"SLURM_PROCID", "0"},
                   {"SLURM_LOCALID", "0"},
                   {"SLURM_NTASKS", "2"},
                   {"SLURM_JOB_ID", job},
                   {"SLURM_STEP_ID", step}})
        .master_port;
  };
  EXPECT_NE(port("100", "0"), port("101", "0"));
  EXPECT_NE(port("100", "0"), port("100", "1"));
  EXPECT_EQ(port("100", "0"), port("100", "0"));
}

void expect_refused(const std::map<std::string, std::string>& variables,
                    const std::vector<std::string>& parts) {
  const std::string said = test::user_error([&] { launch(variables); });
  for (const std::string& part : parts) EXPECT_NE(said.find(part), std::string::npos) << said;
}

TEST(Launch, NamesTheVariableThatIsMissingOrWrong) {
  expect_refused({{"RANK", "0"}}, {"WORLD_SIZE is missing"});
  expect_refused({{"WORLD_SIZE", "2"}}, {"RANK is missing"});
  expect_refused({{"RANK", "two"}, {"WORLD_SIZE", "4"}}, {"RANK='two'"});
  expect_refused({{"RANK", "4"}, {"WORLD_SIZE", "4"}}, {"RANK=4", "contradicts", "WORLD_SIZE=4"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "2"}, {"LOCAL_WORLD_SIZE", "2"}},
                 {"LOCAL_RANK=2", "LOCAL_WORLD_SIZE=2"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "16"}, {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "8"}},
                 {"MASTER_ADDR is missing"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}, {"MASTER_PORT=70000"});
  expect_refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "node0"}}, {"LOCAL_RANK is missing"});
  expect_refused({{"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}}, {"SLURM_NTASKS is missing"});
  expect_refused({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}}, {"SLURM_LOCALID is missing"});
  expect_refused(with(kSrun, {{"SLURM_STEP_TASKS_PER_NODE", "4,x"}}),
                 {"SLURM_STEP_TASKS_PER_NODE='4,x' can't be read"});
  expect_refused(with(kSrun, {{"SLURM_NODEID", "2"}}), {"SLURM_NODEID=2", "SLURM_STEP_TASKS_PER_NODE"});
  expect_refused({{"PMIX_RANK", "0"}}, {"OMPI_COMM_WORLD_SIZE is missing", "PMIX_RANK"});
}

// Variables left over from another start would make every process the same rank, each training alone.
TEST(Launch, HandSetVariablesMustAgreeWithTheLauncher) {
  const std::map<std::string, std::string> mpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                                                  {"OMPI_COMM_WORLD_SIZE", "2"}};
  expect_refused(with(mpi, {{"RANK", "0"}, {"WORLD_SIZE", "1"}}), {"RANK=0", "OMPI_COMM_WORLD_RANK=1"});
  expect_refused(with(mpi, {{"RANK", "1"}, {"WORLD_SIZE", "4"}}), {"WORLD_SIZE=4", "OMPI_COMM_WORLD_SIZE=2"});
  expect_refused(with(kSrun, {{"RANK", "0"}, {"WORLD_SIZE", "1"}}), {"RANK=0", "SLURM_PROCID=4"});
  EXPECT_EQ(launch(with(mpi, {{"RANK", "1"}, {"WORLD_SIZE", "2"}})).rank, 1);
  // torchrun on each node under srun: its ranks are others than srun's.
  EXPECT_EQ(launch(with(kSrun, {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"TORCHELASTIC_RUN_ID", "x"}})).rank, 0);
}

// A batch script that forgets srun would wait for tasks that nobody starts.
TEST(Launch, ABatchScriptNeedsSrun) {
  const std::map<std::string, std::string> batch = {{"ENVIRONMENT", "BATCH"},
                                                    {"SLURM_PROCID", "0"},
                                                    {"SLURM_LOCALID", "0"},
                                                    {"SLURM_NTASKS", "8"},
                                                    {"SLURM_JOB_ID", "77"}};
  expect_refused(batch, {"SLURM_NTASKS=8", "srun"});
  EXPECT_EQ(launch(with(batch, {{"SLURM_NTASKS", "1"}})).world_size, 1);
}

TEST(Slurm, FirstHost) {
  EXPECT_EQ(first_host("gpu[07-09,12],login1"), "gpu07");
  EXPECT_EQ(first_host("n1,n2"), "n1");
  EXPECT_EQ(first_host("n1"), "n1");
  EXPECT_EQ(first_host("a[3,5-6].cluster,b"), "a3.cluster");
  EXPECT_EQ(first_host("r[1-2]n[1-4]"), "r1n1");
  EXPECT_EQ(first_host("x[1"), "x[1");
  EXPECT_EQ(first_host(""), "");
}

TEST(Slurm, TasksPerNode) {
  EXPECT_EQ(tasks_per_node("8(x2),4"), (std::vector<int>{8, 8, 4}));
  EXPECT_EQ(tasks_per_node("2"), (std::vector<int>{2}));
  for (const char* wrong : {"", "x", "8(x", "8(x2", "8(x2)4", "8(x999999999)", "8;4"}) {
    EXPECT_FALSE(tasks_per_node(wrong)) << wrong;
  }
}

TEST(Placement, CpuList) {
  EXPECT_EQ(parse_cpu_list("0-3,8"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_cpu_list("5"), (std::vector<int>{5}));
  EXPECT_EQ(parse_cpu_list(""), (std::vector<int>{}));
}

}  // namespace
}  // namespace higgs
