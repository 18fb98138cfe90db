// What a tokenizer alone can say of a sample; tests/app/check_problems_test.cpp shows the rest.
#include "higgs/data/sample_check.h"

#include <gtest/gtest.h>

#include "fake_tokenizer.h"

namespace higgs {
namespace {

std::string line(const std::string& text, const std::string& more = "") {
  return R"({"messages": [{"role": "user", "content": ")" + text +
         R"("}, {"role": "assistant", "content": ["fine")" + more + "]}]}";
}

class SampleChecks : public ::testing::Test {
 protected:
  SampleChecks() {
    options_.base.emplace();
    options_.base->tokenizer = &tokenizer_;
    options_.base->ids.audio_in = *tokenizer_.find("<|AUDIO|>");
    options_.base->ids.audio_out = *tokenizer_.find("<|AUDIO_OUT|>");
  }

  // The kinds of what is found, in order.
  std::vector<Problem> errors(const std::string& text) const {
    std::vector<Problem> found = SampleChecker(options_).check(text, 7, {"."}).problems;
    std::erase_if(found, [](const Problem& problem) { return problem.grade == Grade::kWarning; });
    return found;
  }

  test::FakeTokenizer tokenizer_;
  CheckOptions options_;
};

TEST_F(SampleChecks, WhatTheTokenizerRefusesIsSaidWithoutThePlace) {
  const std::vector<Problem> found = errors(line("<refuse>"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, "tokens");
  EXPECT_EQ(found[0].message, "refused by the tokenizer");
}

TEST_F(SampleChecks, AClipThatCannotBeReadIsOneProblem) {
  const std::vector<Problem> found = errors(line("a", R"(, {"type": "audio", "text": "no clip"})"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, "clip");
}

TEST_F(SampleChecks, TokensAreCountedWithTheirLabels) {
  const CheckedSample found = SampleChecker(options_).check(line("abc"), 7, {"."});
  // <|begin_of_text|>, two roles between their marks and two line ends, "abc", "fine", two <|eot_id|>.
  EXPECT_EQ(found.num_tokens, 1 + (1 + 4 + 1 + 2) + 3 + 1 + (1 + 9 + 1 + 2) + 4 + 1);
  EXPECT_EQ(found.num_supervised, 4 + 1);
  EXPECT_EQ(found.line, 7u);
}

TEST_F(SampleChecks, ASampleOfAsManyTokensAsAllowedIsNotTooLong) {
  options_.max_tokens = 31;
  EXPECT_TRUE(errors(line("abc")).empty());
  options_.max_tokens = 30;
  ASSERT_EQ(errors(line("abc")).size(), 1u);
  EXPECT_EQ(errors(line("abc"))[0].kind, "too_many_tokens");
}

}  // namespace
}  // namespace higgs
