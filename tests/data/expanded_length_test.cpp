#include "higgs/data/expanded_length.h"

#include <gtest/gtest.h>

namespace higgs {
namespace {

constexpr std::int64_t kIn = 15, kOut = 16;

SpecialIds ids_of_eight() {
  SpecialIds ids;
  ids.audio_in = kIn;
  ids.audio_out = kOut;
  ids.num_codebooks = 8;
  return ids;
}

// BOS, codes, EOS and seven columns of delay in place of each placeholder; all columns but the first have
// labels.
TEST(ExpandedLength, APlaceholderBecomesItsColumns) {
  const TokenizedSample tokens{{1, kIn, 2, kOut, 3}, {kIgnore, kIgnore, 2, kOut, 3}, {}, {}};
  const std::vector<ClipLength> clips = {{10, 0}, {20, 0}};
  EXPECT_EQ(expanded_length(tokens.input_ids, clips, ids_of_eight()), 3 + 19 + 29);
  EXPECT_EQ(num_supervised(tokens, clips, ids_of_eight()), 2 + 28);
}

TEST(ExpandedLength, AReferenceIsNotSupervised) {
  const TokenizedSample tokens{{kOut, kOut}, {kIgnore, kOut}, {}, {}};
  const std::vector<ClipLength> clips = {{10, 0}, {20, 0}};
  EXPECT_EQ(expanded_length(tokens.input_ids, clips, ids_of_eight()), 19 + 29);
  EXPECT_EQ(num_supervised(tokens, clips, ids_of_eight()), 28);
}

}  // namespace
}  // namespace higgs
