// The watch between processes: who says what when one of them fails, and how all end.
#include "higgs/dist/watch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "higgs/base/error.h"
#include "support/process.h"

namespace higgs {
namespace {

constexpr int kRanks = 3;

struct Ended {
  std::vector<int> exit_codes;  // 128 + signal where one ended it
  std::string said;             // by all, to stderr
  double seconds = 0;
};

double now_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Forks a process for each rank that joins and runs `work`.
class WatchTest : public ::testing::Test {
 protected:
  void start(const std::function<void(Watch&, int rank)>& work, double timeout = 60) {
    int port_pipe[2];
    ASSERT_EQ(::pipe(port_pipe), 0);
    for (int rank = 0; rank < kRanks; ++rank) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::freopen((folder / "err").c_str(), "a", stderr);
        WatchOptions options;
        options.rank = rank;
        options.world_size = kRanks;
        options.host = options.host_of_zero = "here";
        options.speaks_for_node = rank == 1;
        options.timeout = timeout;
        options.key = "k";
        std::unique_ptr<Watch> watch;
        if (rank == 0) {
          watch = std::make_unique<Watch>(options);
          const int ports[kRanks] = {watch->port(), watch->port(), watch->port()};
          if (::write(port_pipe[1], ports, sizeof ports) < 0) ::_exit(99);
          watch->wait_for_all(10);
        } else {
          int port = 0;
          if (::read(port_pipe[0], &port, sizeof port) != sizeof port) ::_exit(99);
          watch = std::make_unique<Watch>(options, "127.0.0.1", port, 10);
        }
        work(*watch, rank);
        watch.reset();
        ::_exit(0);
      }
      pids.push_back(child);
    }
    ::close(port_pipe[0]);
    ::close(port_pipe[1]);
  }

  Ended wait() {
    const double begin = now_seconds();
    Ended ended;
    for (const pid_t pid : pids) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      ended.exit_codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    ended.said = test::text_of(folder / "err");
    ended.seconds = now_seconds() - begin;
    return ended;
  }

  static void sleep_for(double seconds) { ::usleep(static_cast<useconds_t>(seconds * 1e6)); }
  static void sleep_long(Watch& watch) {
    watch.at(5, "the reduction");
    watch.waiting(true);
    sleep_for(30);
  }

  test::TemporaryFolder folder;
  std::vector<pid_t> pids;
};

TEST_F(WatchTest, AnOrderlyEndIsSilent) {
  start([](Watch& watch, int rank) {
    watch.at(1, "work");
    sleep_for(0.2 * rank);  // rank 0 leaves first
  });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(ended.said, "");
}

TEST_F(WatchTest, ADeathEndsAllWithOneLine) {
  start([](Watch& watch, int rank) {
    watch.at(5, "forward and backward");
    sleep_for(0.5);
    if (rank == 2) ::raise(SIGKILL);
    sleep_long(watch);
  });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{1, 1, 128 + SIGKILL}));
  EXPECT_EQ(ended.said.find("higgs_train: failed: rank 2 (here, step 5): died in forward and backward: "), 0u)
      << ended.said;
  EXPECT_EQ(test::lines_of(ended.said).size(), 1u) << ended.said;
  EXPECT_LT(ended.seconds, 5);
}

TEST_F(WatchTest, TheDeathOfRankZeroIsSaidByAnother) {
  start([](Watch& watch, int rank) {
    watch.at(5, "saving a checkpoint");
    sleep_for(0.5);
    if (rank == 0) ::raise(SIGKILL);
    sleep_long(watch);
  });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{128 + SIGKILL, 1, 1}));
  EXPECT_EQ(ended.said.find("higgs_train: failed: rank 0 (here, step 5): died in saving a checkpoint: "), 0u)
      << ended.said;
  EXPECT_EQ(test::lines_of(ended.said).size(), 1u) << ended.said;
}

TEST_F(WatchTest, AFailureEndsAllWithItsExitCode) {
  start([](Watch& watch, int rank) {
    watch.at(3, "loading a batch");
    sleep_for(0.2);
    if (rank == 1) watch.fail(2, "a.jsonl:3: is broken");
    sleep_long(watch);
  });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{2, 2, 2}));
  EXPECT_EQ(ended.said, "higgs_train: error: rank 1 (here, step 3): a.jsonl:3: is broken\n");
}

// All find the same mistake: it is said once.
TEST_F(WatchTest, TheSameFailureEverywhereIsSaidOnce) {
  start([](Watch& watch, int) { watch.fail(2, "no such file"); });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{2, 2, 2}));
  EXPECT_EQ(test::lines_of(ended.said).size(), 1u) << ended.said;
  EXPECT_NE(ended.said.find("no such file"), std::string::npos);
}

// What a rank suffers from another's failure is not the cause.
TEST_F(WatchTest, ASecondaryFailureGivesWayToItsCause) {
  start([](Watch& watch, int rank) {
    watch.at(4, "the reduction");
    if (rank == 2) {
      sleep_for(0.5);
      watch.fail(1, "disk full");
    }
    watch.fail(1, "connection closed by peer", /*secondary=*/true);
  });
  EXPECT_EQ(wait().said, "higgs_train: failed: rank 2 (here, step 4): disk full\n");
}

TEST_F(WatchTest, ASecondaryFailureWithoutACauseIsSaid) {
  start([](Watch& watch, int rank) {
    if (rank == 1) watch.fail(1, "connection closed by peer", /*secondary=*/true);
    sleep_long(watch);
  });
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(ended.said, "higgs_train: failed: rank 1 (here): connection closed by peer\n");
}

TEST_F(WatchTest, ARankThatOthersWaitForInVainEndsTheJob) {
  start(
      [](Watch& watch, int rank) {
        watch.at(9, "forward and backward");
        if (rank == 2) sleep_for(30);
        sleep_long(watch);
      },
      2);
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(ended.said.find("higgs_train: failed: rank 2 (here, step 9): hangs in forward and backward"), 0u)
      << ended.said;
  EXPECT_EQ(test::lines_of(ended.said).size(), 1u) << ended.said;
  EXPECT_LT(ended.seconds, 8);
}

// Stopped as a whole (SIGSTOP): rank 0 can't judge, and on waking must not blame the others.
TEST_F(WatchTest, AFrozenRankZeroIsNamedByAnother) {
  start([](Watch& watch, int) { sleep_long(watch); }, 2);
  sleep_for(1);
  ::kill(pids[0], SIGSTOP);
  sleep_for(4);
  ::kill(pids[0], SIGCONT);
  const Ended ended = wait();
  EXPECT_EQ(ended.exit_codes, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(
      ended.said.find("higgs_train: failed: rank 0 (here, step 5): hangs in the reduction: silent for 2 s"),
      0u)
      << ended.said;
  EXPECT_EQ(test::lines_of(ended.said).size(), 1u) << ended.said;
}

// All suspended together, as a laptop's lid or a scheduler does it, is no failure.
TEST_F(WatchTest, SuspensionOfAllIsNoHang) {
  start(
      [](Watch& watch, int rank) {
        watch.at(1, "work");
        if (rank != 1) watch.waiting(true);
        sleep_for(1.5);
      },
      4);
  sleep_for(0.5);
  for (const pid_t pid : pids) ::kill(pid, SIGSTOP);
  sleep_for(6);
  for (const pid_t pid : pids) ::kill(pid, SIGCONT);
  EXPECT_EQ(wait().exit_codes, (std::vector<int>{0, 0, 0}));
}

TEST(Watch, NamesTheRanksThatDontCome) {
  WatchOptions options;
  options.world_size = 3;
  Watch watch(options);
  try {
    watch.wait_for_all(0.3);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_STREQ(error.what(), "rank 1, 2 of 3 did not come");
  }
}

// Anyone may connect to a port; only ranks of the job know its key.
TEST(Watch, AStrangersConnectionIsNoRank) {
  WatchOptions options;
  options.world_size = 2;
  options.key = "secret";
  Watch watch(options);
  LineChannel stranger(connect_for_lines("127.0.0.1", watch.port(), 5));
  stranger.send("hello wrong 1 there");
  stranger.send(std::string(300000, 'x'));
  EXPECT_THROW(watch.wait_for_all(0.5), RunError);
  LineChannel rank(connect_for_lines("127.0.0.1", watch.port(), 5));
  rank.send("hello secret 1 there");
  EXPECT_NO_THROW(watch.wait_for_all(5));
  rank.send("bye");
}

}  // namespace
}  // namespace higgs
