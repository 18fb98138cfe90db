// The delay pattern of a clip being generated, against tables written by hand (4 codebooks, B = BOS, E =
// EOS).
#include <gtest/gtest.h>

#include "higgs/model/generate.h"

namespace higgs {
namespace {

using Column = std::vector<std::int64_t>;
constexpr std::int64_t B = 100, E = 101;

struct Line {
  Column drawn, kept;
  bool last;
};

void follow(const std::vector<Line>& table) {
  DelayRule rule(4, B, E);
  for (std::size_t i = 0; i < table.size(); ++i) {
    Column column = table[i].drawn;
    EXPECT_EQ(rule.apply(column), table[i].last) << "column " << i + 1;
    EXPECT_EQ(column, table[i].kept) << "column " << i + 1;
  }
}

// Column 0, all BOS, is given; codebook k is free from column k + 1 on.
TEST(DelayRule, CodebooksBeginOneAfterAnother) {
  follow({{{1, 2, 3, 4}, {1, B, B, B}, false},
          {{5, 6, 7, 8}, {5, 6, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, 3, B}, false},
          {{5, 6, 7, 8}, {5, 6, 7, 8}, false},
          {{1, 2, 3, 4}, {1, 2, 3, 4}, false}});
}

TEST(DelayRule, EosOfTheFirstCodebookEndsTheOthersOnePerColumn) {
  follow({{{1, 2, 3, 4}, {1, B, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, 3, B}, false},
          {{E, 2, 3, 4}, {E, 2, 3, 4}, false},
          {{1, 2, 3, 4}, {E, 2, 3, 4}, false},
          {{1, 2, 3, 4}, {E, E, 3, 4}, false},
          {{1, 2, 3, 4}, {E, E, E, 4}, true}});
}

// The lowest codebook that says EOS takes those below it along; what comes later is two columns shorter.
TEST(DelayRule, EosOfAMiddleCodebookEndsThoseBelowItAtOnce) {
  follow({{{1, 2, 3, 4}, {1, B, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, 3, B}, false},
          {{1, 2, E, 4}, {E, E, E, 4}, false},
          {{1, 2, 3, 4}, {E, E, E, 4}, true}});
}

TEST(DelayRule, OfSeveralEosTheLowestCounts) {
  follow({{{1, 2, 3, 4}, {1, B, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, 3, B}, false},
          {{1, E, E, 4}, {E, E, E, 4}, false},
          {{1, 2, 3, 4}, {E, E, 3, 4}, false},
          {{1, 2, 3, 4}, {E, E, E, 4}, true}});
}

TEST(DelayRule, EosOfTheLastCodebookEndsTheClip) {
  follow({{{1, 2, 3, 4}, {1, B, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, B, B}, false},
          {{1, 2, 3, 4}, {1, 2, 3, B}, false},
          {{1, 2, 3, E}, {E, E, E, E}, true}});
}

// EOS in a codebook that hasn't begun is overwritten by BOS and ends nothing.
TEST(DelayRule, EosBeforeACodebookBeginsIsIgnored) {
  follow({{{1, E, E, E}, {1, B, B, B}, false},
          {{1, 2, 3, E}, {1, 2, B, B}, false},
          {{E, 2, 3, 4}, {E, 2, 3, B}, false},
          {{1, 2, 3, 4}, {E, 2, 3, 4}, false}});
}

}  // namespace
}  // namespace higgs
