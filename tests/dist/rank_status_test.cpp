// When the state of the ranks means that one of them has failed.
#include "higgs/dist/rank_status.h"

#include <gtest/gtest.h>

#include <vector>

namespace higgs {
namespace {

constexpr double kTimeout = 30;

class FindFailure : public ::testing::Test {
 protected:
  FindFailure() : ranks(3) {
    for (std::size_t i = 0; i < 3; ++i) {
      ranks[i].host = "gpu" + std::to_string(i);
      ranks[i].joined = true;
      ranks[i].step = 12;
      ranks[i].phase = "forward and backward";
      ranks[i].changed = ranks[i].heard = 100;
    }
  }
  std::optional<Failure> at(double now) const { return find_failure(ranks, now, kTimeout); }
  void wait(std::size_t rank) {
    ranks[rank].waiting = true;
    ranks[rank].phase = "the reduction";
  }
  std::vector<RankStatus> ranks;
};

TEST_F(FindFailure, NothingWhileAllWork) {
  EXPECT_FALSE(at(100));
  EXPECT_FALSE(at(100 + 10 * kTimeout));  // long work that nobody waits for
}

TEST_F(FindFailure, ADeathIsNamedAtOnce) {
  ranks[1].gone = true;
  const auto failure = at(100);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->rank, 1);
  EXPECT_EQ(failure->exit_code, 1);
  EXPECT_EQ(failure->text.find("rank 1 (gpu1, step 12): died in forward and backward"), 0u) << failure->text;
  ranks[1].left = true;  // it said that it was done
  EXPECT_FALSE(at(100));
}

TEST_F(FindFailure, TheRankThatOthersWaitForHangs) {
  wait(0);
  wait(2);
  EXPECT_FALSE(at(100 + kTimeout - 1));
  const auto failure = at(100 + kTimeout);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->rank, 1);
  EXPECT_EQ(failure->text.find("rank 1 (gpu1, step 12): hangs in forward and backward: no progress for 30 s"),
            0u)
      << failure->text;
}

// A rank that others wait for but that gets on with its work (encoding clips, say) is left alone.
TEST_F(FindFailure, ProgressIsNoHang) {
  wait(0);
  wait(2);
  ranks[1].changed = 100 + kTimeout;
  EXPECT_FALSE(at(100 + 1.5 * kTimeout));
  EXPECT_TRUE(at(100 + 2 * kTimeout));
}

TEST_F(FindFailure, WhereAllWaitTheSilentOneHangs) {
  for (std::size_t i = 0; i < 3; ++i) {
    wait(i);
    ranks[i].heard = 100 + kTimeout;
  }
  EXPECT_NE(at(100 + kTimeout)->text.find("all ranks have been waiting"), std::string::npos);
  ranks[2].heard = 100;
  const auto failure = at(100 + kTimeout);
  EXPECT_EQ(failure->rank, 2);
  EXPECT_NE(failure->text.find("silent for 30 s"), std::string::npos) << failure->text;
}

TEST_F(FindFailure, OneThatHasLeftIsNotMissed) {
  wait(0);
  wait(1);
  ranks[2].left = ranks[2].gone = true;
  EXPECT_FALSE(at(100));
}

TEST(StatusLine, Travels) {
  RankStatus sent, got;
  sent.step = 7;
  sent.waiting = true;
  sent.progress = 99;
  sent.phase = "saving a checkpoint";
  EXPECT_TRUE(read_status_line(status_line(sent), 5.0, got));
  EXPECT_EQ(got.step, 7);
  EXPECT_TRUE(got.waiting);
  EXPECT_EQ(got.progress, 99u);
  EXPECT_EQ(got.phase, "saving a checkpoint");
  EXPECT_EQ(got.changed, 5.0);
  EXPECT_TRUE(read_status_line(status_line(sent), 9.0, got));
  EXPECT_EQ(got.changed, 5.0) << "the same again is no progress";
  for (const char* wrong : {"", "at", "at x 0 1 p", "bt 1 0 1 p", "at 1"}) {
    EXPECT_FALSE(read_status_line(wrong, 0, got)) << wrong;
  }
}

}  // namespace
}  // namespace higgs
