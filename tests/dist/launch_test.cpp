#include "higgs/dist/launch.h"

#include <gtest/gtest.h>

#include <map>

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

TEST(Launch, JobsOnOneMachineTakeDifferentPorts) {
  const auto port = [](const char* job) {
    return launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_JOB_ID", job}}).master_port;
  };
  EXPECT_NE(port("100"), port("101"));
  EXPECT_EQ(port("100"), port("100"));
}

TEST(Launch, NamesTheVariableThatIsMissingOrWrong) {
  const auto said = [](const std::map<std::string, std::string>& variables) {
    return test::user_error([&] { launch(variables); });
  };
  EXPECT_NE(said({{"RANK", "0"}}).find("WORLD_SIZE"), std::string::npos);
  EXPECT_NE(said({{"RANK", "two"}, {"WORLD_SIZE", "4"}}).find("RANK='two'"), std::string::npos);
  EXPECT_NE(said({{"RANK", "4"}, {"WORLD_SIZE", "4"}}).find("contradicts"), std::string::npos);
  EXPECT_NE(said({{"RANK", "0"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "2"}, {"LOCAL_WORLD_SIZE", "2"}})
                .find("LOCAL_RANK=2"),
            std::string::npos);
  EXPECT_NE(said({{"RANK", "0"}, {"WORLD_SIZE", "16"}, {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "8"}})
                .find("MASTER_ADDR"),
            std::string::npos);
}

}  // namespace
}  // namespace higgs
