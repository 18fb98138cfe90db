#include <gtest/gtest.h>

#include "found.h"
#include "higgs/corpus/transcripts.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::Found;
using test::repeated;
using test::user_error;

std::vector<Segment> parse(const std::string& text, Found& found) {
  return parse_whisper_json(text, "a.json", found.findings);
}

TEST(WhisperJson, ReadsSegmentsWordsAndSpeakers) {
  Found found;
  const auto segments = parse(
      R"({"segments": [{"start": 0.5, "end": 2, "tokens": [1], "text": " Hi 5.", "speaker": "SPEAKER_00", "words": [)"
      R"({"word": " Hi", "start": 0.5, "end": 0.9}, {"word": "5."}]}]})",
      found);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].text, "Hi 5.");
  EXPECT_EQ(segments[0].speaker, "SPEAKER_00");
  EXPECT_EQ(segments[0].where, "a.json: segment 1");
  ASSERT_EQ(segments[0].words.size(), 2u);
  EXPECT_DOUBLE_EQ(*segments[0].words[0].end, 0.9);
  EXPECT_FALSE(segments[0].words[1].begin) << "whisperX leaves out the times of figures";
}

TEST(WhisperJson, ReadsTransformersAndWhisperCpp) {
  Found found;
  const auto chunks = parse(R"({"text": "", "chunks": [{"timestamp": [0.0, 1.5], "text": " A"}]})", found);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_DOUBLE_EQ(chunks[0].end, 1.5);
  const auto cpp = parse(R"({"transcription": [{"timestamps": {"from": "00:00:00,000"}, "offsets": )"
                         R"({"from": 250, "to": 1750}, "text": " A"}]})",
                         found);
  ASSERT_EQ(cpp.size(), 1u);
  EXPECT_DOUBLE_EQ(cpp[0].begin, 0.25);
  EXPECT_DOUBLE_EQ(cpp[0].end, 1.75);
  EXPECT_EQ(parse(R"([{"start": 0, "end": 1, "text": "A"}])", found).size(), 1u);
  EXPECT_TRUE(found.mistakes.empty());
}

TEST(WhisperJson, NanBesideANumberIsNoMistake) {  // Python writes it for a segment without tokens
  Found found;
  const auto segments = parse(
      R"({"segments": [{"start": 0, "end": 1, "text": "A", "avg_logprob": NaN, "x": -Infinity}]})", found);
  EXPECT_EQ(segments.size(), 1u);
}

TEST(WhisperJson, NamesSegmentsWithoutTimesAndReadsTheOthers) {
  Found found;
  const auto segments =
      parse(R"({"segments": [{"text": "A"}, 5, {"start": "0", "end": 1, "text": "B"}, )"
            R"({"start": 1e300, "end": 1, "text": "C"}, {"start": 0, "end": 1, "text": "D"}, )"
            R"({"timestamp": [0, null], "text": "E"}]})",
            found);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].text, "D");
  ASSERT_EQ(found.mistakes.size(), 5u);
  EXPECT_EQ(found.mistakes[0].rfind("a.json: segment 1: its start or end is no time", 0), 0u);
  EXPECT_EQ(found.mistakes[1].rfind("a.json: segment 2: must be an object", 0), 0u);
}

TEST(WhisperJson, RefusesOtherDocumentsAndEveryTruncation) {
  Found found;
  for (const char* text : {"{}", "5", "null", R"({"segments": 5})", R"({"segments": {"start": 1}})"}) {
    EXPECT_NE(user_error([&] { parse(text, found); }).find("a.json: holds no list of 'segments'"),
              std::string::npos)
        << text;
  }
  const std::string whole =
      R"({"segments": [{"start": 0, "end": 1, "text": "A", "words": [{"word": "A"}]}]})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(user_error([&] { parse(whole.substr(0, size), found); }).rfind("a.json: ", 0), 0u) << size;
  }
  user_error([&] { parse(repeated("[", 1000000), found); });
}

TEST(Transcripts, AreReadByTheirEnding) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.srt", "1\n00:00:01,000 --> 00:00:02,000\nA\n");
  test::write_text(folder / "b.json", R"([{"start": 0, "end": 1, "text": "A"}])");
  Found found;
  EXPECT_EQ(read_transcript(folder / "a.srt", "", found.findings).size(), 1u);
  EXPECT_EQ(read_transcript(folder / "b.json", "", found.findings).size(), 1u);
}

}  // namespace
}  // namespace higgs
