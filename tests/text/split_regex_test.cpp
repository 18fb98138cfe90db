#include "higgs/text/split_regex.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs {
namespace {

using Pieces = std::vector<std::string_view>;

constexpr std::string_view kLlama =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(SplitRegex, LlamasPatternCutsWords) {
  const SplitRegex regex(kLlama, "here");
  EXPECT_EQ(regex.split("He'LL say 12345  things!\n\n ok"),
            (Pieces{"He", "'LL", " say", " ", "123", "45", " ", " things", "!\n\n", " ok"}));
}

TEST(SplitRegex, KeepsWhatLiesBetweenMatches) {
  EXPECT_EQ(SplitRegex("b+", "here").split("abbcb"), (Pieces{"a", "bb", "c", "b"}));
  EXPECT_EQ(SplitRegex("x", "here").split("abc"), (Pieces{"abc"}));
  EXPECT_TRUE(SplitRegex("x", "here").split("").empty());
}

TEST(SplitRegex, EmptyMatchesEnd) {
  EXPECT_EQ(SplitRegex("(?=b)", "here").split("aébb"), (Pieces{"aé", "b", "b"}));
  EXPECT_EQ(SplitRegex("x?", "here").split("éé"), (Pieces{"é", "é"}));
  EXPECT_EQ(SplitRegex("b*", "here").split("bb"), (Pieces{"bb"}));
}

TEST(SplitRegex, WhiteSpaceIsUnicodes) {
  const SplitRegex space(R"(\s)", "here");
  EXPECT_TRUE(space.matches("\xC2\x85"));       // next line
  EXPECT_TRUE(space.matches("\xE3\x80\x80"));   // ideographic space
  EXPECT_FALSE(space.matches("\xE1\xA0\x8E"));  // U+180E, a space to PCRE2 itself
  EXPECT_FALSE(SplitRegex(R"([\S])", "here").matches("\xE3\x80\x80"));
}

TEST(SplitRegex, KnowsLettersAndNumbersOfUnicode16) {
  const std::string letter = "\xF0\xB1\x8D\x90", number = "\xF0\x91\xAF\xB0";  // U+31350, U+11BF0
  EXPECT_TRUE(SplitRegex(R"(\p{L})", "here").matches(letter));
  EXPECT_TRUE(SplitRegex(R"([\p{N}])", "here").matches(number));
  EXPECT_FALSE(SplitRegex(R"([^\p{L}])", "here").matches(letter));
  EXPECT_FALSE(SplitRegex(R"(\P{L})", "here").matches(letter));
  EXPECT_TRUE(SplitRegex(R"(\P{L})", "here").matches(number));
}

TEST(SplitRegex, ConstructsTheTwoDialectsReadDifferentlyAreRefusedByName) {
  for (const std::string pattern : {R"(\h)", R"(\b)", "^a", "a$", "[a[b]]", "[a&&b]", "(?m:a)", "(?#c)",
                                    "a{,3}", "a{1,2}+", "[]a]", R"(\p)", "(*ACCEPT)", "\\"}) {
    const std::string message = test::user_error([&] { SplitRegex regex(pattern, "file.json"); });
    EXPECT_TRUE(message.starts_with("file.json: the pattern's '")) << pattern << ": " << message;
  }
}

TEST(SplitRegex, ABrokenPatternIsAUserError) {
  const std::string message = test::user_error([] { SplitRegex regex("(a", "file.json"); });
  EXPECT_TRUE(message.starts_with("file.json: the pattern '(a' cannot be compiled")) << message;
}

TEST(SplitRegex, APatternThatTakesForEverIsStopped) {
  const SplitRegex regex("(a+)+b", "tokenizer.json");
  EXPECT_NE(test::user_error([&] {
              regex.split(std::string(64, 'a') + "cb");
            }).find("cannot be cut by the pattern"),
            std::string::npos);
  EXPECT_NE(test::user_error([] {
              SplitRegex("a" + std::string(SplitRegex::kMaxPattern, '?'), "f");
            }).find("at most"),
            std::string::npos);
}

TEST(SplitRegex, APatternThatNeedsADeepStackStillWorks) {
  const std::string text(1 << 16, 'a');  // the JIT's stack holds a fraction of the captures
  EXPECT_EQ(SplitRegex("(?:(a)|b)+", "here").split(text), (Pieces{text}));
}

}  // namespace
}  // namespace higgs
