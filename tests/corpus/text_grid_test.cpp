#include <gtest/gtest.h>

#include "found.h"
#include "higgs/corpus/plain_text.h"
#include "higgs/corpus/transcripts.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::Found;
using test::repeated;
using test::user_error;

constexpr const char* kLong =
    "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \nxmax = 6.5 \ntiers? <exists> \n"
    "size = 3 \nitem []: \n    item [1]:\n        class = \"IntervalTier\" \n        name = \"Ann\" \n"
    "        xmin = 0 \n        xmax = 6.5 \n        intervals: size = 3 \n        intervals [1]:\n"
    "            xmin = 0 \n            xmax = 1.25 \n            text = \"\" \n        intervals [2]:\n"
    "            xmin = 1.25 \n            xmax = 3 \n            text = \"He said \"\"no\"\" to\nme! = 3\" "
    "\n"
    "        intervals [3]:\n            xmin = 3 \n            xmax = 6.5 \n            text = \"sil\" \n"
    "    item [2]:\n        class = \"TextTier\" \n        name = \"clicks\" \n        xmin = 0 \n"
    "        xmax = 6.5 \n        points: size = 1 \n        points [1]:\n            number = 2 \n"
    "            mark = \"x\" \n    item [3]:\n        class = \"IntervalTier\" \n        name = \"Bob\" \n"
    "        xmin = 0 \n        xmax = 6.5 \n        intervals: size = 1 \n        intervals [1]:\n"
    "            xmin = 4e0 \n            xmax = 6.5 \n            text = \"Yes.\" \n";

constexpr const char* kShort =
    "\"ooTextFile\"\n\"TextGrid\"\n0\n2\n<exists>"
    "\n2\n\"IntervalTier\"\n\"words\"\n0\n2\n2\n0\n1\n\"one\"\n1\n2\n"
    "\"two\"\n! a comment \"here\"\n\"IntervalTier\"\n\"phones\"\n0\n2\n1\n0\n2\n\"w\"\n";

std::vector<Segment> parse(const std::string& text, Found& found, const std::string& tier = "") {
  return parse_text_grid(text, "a.TextGrid", tier, found.findings);
}

TEST(TextGrid, LongFormGivesASpeakerForEachIntervalTier) {
  Found found;
  const auto segments = parse(kLong, found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].speaker, "Ann");
  EXPECT_EQ(segments[0].text, "He said \"no\" to me! = 3");
  EXPECT_DOUBLE_EQ(segments[0].begin, 1.25);
  EXPECT_DOUBLE_EQ(segments[0].end, 3.0);
  EXPECT_EQ(segments[0].where, "a.TextGrid:20");
  EXPECT_EQ(segments[1].speaker, "Bob");
  EXPECT_EQ(segments[1].text, "Yes.");
  EXPECT_DOUBLE_EQ(segments[1].begin, 4.0);
}

TEST(TextGrid, ShortFormOfAnAlignerGivesTheWordsAndNotThePhones) {
  Found found;
  const auto segments = parse(kShort, found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].text, "one");
  EXPECT_EQ(segments[0].speaker, "") << "one tier is nobody's name";
  EXPECT_EQ(segments[1].text, "two");
}

TEST(TextGrid, WordsOfASpeakerAreThatSpeakers) {
  Found found;
  std::string text = kShort;
  text.replace(text.find("\"words\""), 7, "\"Ann - words\"");
  text.replace(text.find("\"phones\""), 8, "\"Ann - phones\"");
  const auto segments = parse(text, found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].speaker, "Ann");
}

TEST(TextGrid, UnicodeAsPraatWritesIt) {
  Found found;
  std::string utf16 = "\xFE\xFF";
  for (const char c : std::string(kShort)) utf16 += std::string(1, '\0') + c;
  EXPECT_EQ(parse(decode_text(utf16, "a.TextGrid"), found).size(), 2u);
}

TEST(TextGrid, ATierCanBeNamed) {
  Found found;
  const auto segments = parse(kLong, found, "Bob");
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].text, "Yes.");
  EXPECT_NE(user_error([&] { parse(kLong, found, "Eve"); }).find("called 'Eve'; its tiers are: Ann, Bob"),
            std::string::npos);
}

TEST(TextGrid, NamesABackwardInterval) {
  Found found;
  std::string text = kLong;
  text.replace(text.find("xmax = 3 "), 9, "xmax = 1 ");
  EXPECT_EQ(parse(text, found).size(), 1u);
  ASSERT_EQ(found.mistakes.size(), 1u);
  EXPECT_EQ(found.mistakes[0], "a.TextGrid:20: an interval must end after it begins");
}

TEST(TextGrid, EveryTruncationIsRefusedByLine) {
  const std::string whole = kShort;
  const std::size_t last = whole.find("\"w\"") + 3;
  for (std::size_t size = 0; size < last; ++size) {
    Found found;
    const std::string message = user_error([&] { parse(whole.substr(0, size), found); });
    EXPECT_EQ(message.rfind("a.TextGrid:", 0), 0u) << size << ": " << message;
  }
}

TEST(TextGrid, ATextCutShortIsNamedWithItsLine) {
  Found found;
  const std::string text(kShort);
  EXPECT_EQ(user_error([&] { parse(text.substr(0, text.find("one\"") + 2), found); }),
            "a.TextGrid:14: a quote is not closed; is it cut short?");
}

TEST(TextGrid, WhatStandsInTheWrongPlaceIsNamedWithItsLine) {
  const auto refusal = [](const std::string& from, const std::string& to) {
    std::string text = kShort;
    text.replace(text.find(from), from.size(), to);
    Found found;
    return user_error([&] { parse(text, found); });
  };
  EXPECT_EQ(refusal("TextGrid", "PitchTier"),
            "a.TextGrid:2: is not a TextGrid in Praat's text format; save it with Save as text file");
  EXPECT_EQ(refusal("\n0\n2\n<", "\n\"0\"\n2\n<"), "a.TextGrid:3: a text stands where a number was expected");
  EXPECT_EQ(refusal("<exists>", "\"exists\""), "a.TextGrid:5: a text stands where <exists> was expected");
  EXPECT_EQ(refusal("IntervalTier", "SpanTier"),
            "a.TextGrid:7: a tier must be an IntervalTier or a TextTier, not 'SpanTier'");
}

TEST(TextGrid, HostileNumbersAreRefused) {
  for (const char* bad : {"1e999", "99999999999999999999", "-1", "2.5", "0x", "1..2"}) {
    std::string text = kShort;
    text.replace(text.find("\n2\n2\n0\n") + 3, 1, bad);  // the count of intervals
    Found found;
    EXPECT_EQ(user_error([&] { parse(text, found); }).rfind("a.TextGrid:", 0), 0u) << bad;
  }
  Found found;
  std::string text = kShort;
  text.replace(text.find("\n2\n2\n0\n") + 3, 1, "9999999");  // more than there are
  EXPECT_NE(user_error([&] { parse(text, found); }).find("a.TextGrid:"), std::string::npos);
  user_error([&] { parse(repeated("\"", 2000001), found); });
  user_error([&] { parse("\"ooTextFile\" \"TextGrid\" 0 1 " + repeated("<x", 1000000), found); });
}

}  // namespace
}  // namespace higgs
