#include <gtest/gtest.h>

#include "found.h"
#include "higgs/corpus/transcripts.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::Found;
using test::repeated;
using test::user_error;

std::vector<Segment> parse(const std::string& text, Found& found) {
  return parse_subtitles(text, "a.srt", found.findings);
}

TEST(Subtitles, ReadsSubRip) {
  Found found;
  const auto segments = parse(
      "1\r\n00:00:01,500 --> 00:00:03,250\r\n<i>Hello</i>\r\n{\\an8}there, <b>you</b> & me.\r\n\r\n"
      "2\r\n01:00:04,000 --> 01:00:05,000 X1:10 X2:20\r\n3 < 4 <3 &amp; so\r\n",
      found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_DOUBLE_EQ(segments[0].begin, 1.5);
  EXPECT_DOUBLE_EQ(segments[0].end, 3.25);
  EXPECT_EQ(segments[0].text, "Hello there, you & me.");
  EXPECT_EQ(segments[0].where, "a.srt:2");
  EXPECT_DOUBLE_EQ(segments[1].begin, 3604.0);
  EXPECT_EQ(segments[1].text, "3 < 4 <3 & so");
  EXPECT_TRUE(found.mistakes.empty());
}

TEST(Subtitles, ReadsWebVttWithNotesIdsAndSettings) {
  Found found;
  const auto segments = parse(
      "WEBVTT - a talk\nKind: captions\n\nNOTE\nnot said\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:02.5 "
      "align:start\n<v.loud Ann Lee>Hi <00:01.200><c.x>all</c>&nbsp;of you</v>\n\n100:00:00.000 --> "
      "100:00:01.000\nlate\n",
      found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].speaker, "Ann Lee");
  EXPECT_EQ(segments[0].text, "Hi all of you");
  EXPECT_DOUBLE_EQ(segments[0].begin, 1.0);
  EXPECT_DOUBLE_EQ(segments[0].end, 2.5);
  EXPECT_DOUBLE_EQ(segments[1].begin, 360000.0);
  EXPECT_TRUE(found.mistakes.empty());
}

TEST(Subtitles, ASpeakerInBracketsIsTheSpeaker) {
  Found found;
  const auto segments = parse(
      "1\n00:00:01,0 --> 00:00:02,0\n[SPEAKER_01]: Yes.\n\n2\n00:00:02,0 --> "
      "00:00:03,0\n[laughs] No.\n",
      found);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].speaker, "SPEAKER_01");
  EXPECT_EQ(segments[0].text, "Yes.");
  EXPECT_EQ(segments[1].speaker, "");
  EXPECT_EQ(segments[1].text, "[laughs] No.");
}

TEST(Subtitles, NamesEachBadCueAndReadsTheOthers) {
  Found found;
  const auto segments = parse(
      "1\n00:00:xx,0 --> 00:00:02,0\nno\n\n2\nno times\n\n3\n00:00:03,0 --> 00:00:04,0\nyes\n\n"
      "4\n99999999999:00:00,0 --> 00:00:04,0\nno\n\n5\n999999999:00:00,0 --> 999999999:00:01,0\nno\n\n"
      "6\n00:00:05,0 --> 00:00:06,0\n<v Ann>one <v Bob>two\n\n7\n1 --> 2\nno\n\n8\n1:2:3:4 --> 1:2:3:5\nno\n",
      found);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].text, "yes");
  ASSERT_EQ(found.mistakes.size(), 7u);
  EXPECT_EQ(found.mistakes[0].rfind("a.srt:2: times must be like", 0), 0u) << found.mistakes[0];
  EXPECT_EQ(found.mistakes[1].rfind("a.srt:5: no line with times", 0), 0u) << found.mistakes[1];
  EXPECT_EQ(found.mistakes[2].rfind("a.srt:13: times", 0), 0u) << found.mistakes[2];
  EXPECT_EQ(found.mistakes[4].rfind("a.srt:21: two voices in one cue", 0), 0u) << found.mistakes[4];
}

TEST(Subtitles, RefusesWhatHoldsNoCue) {
  Found found;
  EXPECT_NE(user_error([&] { parse("{\"segments\": []}", found); }).find("a.srt: holds no cue"),
            std::string::npos);
}

TEST(Subtitles, HostileBytesAreReadInNoTime) {
  Found found;
  parse("00:01,0 --> 00:02,0\n" + repeated("<a", 2000000), found);
  parse("00:01,0 --> 00:02,0\n" + repeated("{\\", 2000000), found);
  parse(repeated("-->\n\n", 200000), found);
  parse(repeated("0", 1000000) + ":00 --> 00:01\nx", found);
  parse("00:01," + repeated("9", 1000000) + " --> 00:03\nx", found);
  EXPECT_EQ(found.findings.num_mistakes(), 200001u);
}

}  // namespace
}  // namespace higgs
