// Judgements over a whole manifest: duplicates, odd speech rates, totals.
#include "higgs/data/manifest_check.h"

#include <gtest/gtest.h>

namespace higgs {
namespace {

struct Said {
  std::uint64_t line;
  std::string kind, message;
};

class ManifestChecks : public ::testing::Test {
 protected:
  CheckedSample sample(std::uint64_t sound, std::uint64_t text, double rate = 14.0) {
    CheckedSample out;
    out.line = ++line_;
    out.speaker = "ann";
    out.clips.push_back({ClipUse::kReply, "a.wav", {0, sound}, 4.0});
    out.text = Hash128{1, text};
    out.rates.push_back({Script::kLatin, rate, false});
    return out;
  }

  std::vector<Said> said;
  ManifestCheck check{[this](std::uint64_t line, const Problem& problem) {
    said.push_back({line, problem.kind, problem.message});
  }};

 private:
  std::uint64_t line_ = 0;
};

TEST_F(ManifestChecks, DuplicatesNameTheFirstLine) {
  check.add(sample(1, 1));
  check.add(sample(2, 2));
  check.add(sample(1, 3));
  check.add(sample(4, 2));
  check.add(sample(2, 2));
  ASSERT_EQ(said.size(), 3u);
  EXPECT_EQ(said[0].line, 3u);
  EXPECT_EQ(said[0].kind, "duplicate_audio");
  EXPECT_EQ(said[0].message, "a.wav: the same sound as in line 1; keep one, or it counts twice");
  EXPECT_EQ(said[1].line, 4u);
  EXPECT_EQ(said[1].kind, "duplicate_text");
  EXPECT_NE(said[1].message.find("in line 2;"), std::string::npos);
  EXPECT_EQ(said[2].kind, "duplicate_audio") << "one problem of a line that is there twice";
}

TEST_F(ManifestChecks, AReferenceMayBeUsedAgain) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    CheckedSample used = sample(10 + i, 10 + i);
    used.clips.push_back({ClipUse::kReference, "r.wav", {0, 1}, 4.0});
    check.add(used);
  }
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(check.totals().num_clips, 6u);
  EXPECT_EQ(check.totals().reply_seconds, 12.0);
}

TEST_F(ManifestChecks, ARateFarFromTheOthersIsNamedAtTheEnd) {
  for (std::uint64_t i = 0; i < kLeastRates; ++i)
    check.add(sample(i, i, 13.0 + 0.1 * static_cast<double>(i)));
  check.add(sample(100, 100, 6.9));
  check.add(sample(101, 101, 28.5));
  check.add(sample(102, 102, 27.0));
  EXPECT_TRUE(said.empty());
  check.finish();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].line, kLeastRates + 1);
  EXPECT_EQ(said[0].kind, "odd_speech_rate");
  EXPECT_NE(said[0].message.find("6.9 characters a second, where the manifest's Latin texts have 14.0"),
            std::string::npos)
      << said[0].message;
  EXPECT_EQ(said[1].line, kLeastRates + 2);
  EXPECT_NEAR(check.totals().median_rates[0], 14.0, 1e-5);
}

TEST_F(ManifestChecks, FewTextsSayNothingOfWhatIsUsual) {
  for (std::uint64_t i = 0; i + 2 < kLeastRates; ++i) check.add(sample(i, i));
  check.add(sample(100, 100, 29.0));
  check.finish();
  EXPECT_TRUE(said.empty());
}

TEST(Histogram, AnEdgeBelongsToTheBandAbove) {
  Histogram histogram({1, 3});
  for (const double value : {0.5, 1.0, 2.9, 3.0, 99.0}) histogram.add(value);
  EXPECT_EQ(histogram.counts(), (std::vector<std::size_t>{1, 2, 2}));
}

}  // namespace
}  // namespace higgs
