#include "higgs/corpus/cut.h"

#include <gtest/gtest.h>

#include <cmath>

#include "found.h"
#include "higgs/audio/waveform.h"
#include "higgs/corpus/loudness.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::Found;

Segment segment(double begin, double end, const std::string& text, const std::string& speaker = "ann") {
  return {begin, end, text, speaker, {}, "a.srt:" + std::to_string(static_cast<int>(begin))};
}

// Must not be asked where pauses are long.
QuietPlace never_asked(double, double) {
  ADD_FAILURE() << "looked at the sound";
  return {};
}
QuietPlace middle(double begin, double end) {
  return {(begin + end) / 2, 1.0};
}

std::vector<Piece> cut(const std::vector<Segment>& segments, double seconds, Found& found,
                       const CutOptions& options = {}, const FindQuiet& quiet = never_asked) {
  return cut_at_pauses(segments, seconds, options, quiet, found.findings);
}

std::string text_of(const Piece& piece) {
  std::string text;
  for (const Turn& turn : piece.turns) text += (text.empty() ? "" : " ") + turn.text;
  return text;
}

TEST(Cut, MergesShortSegmentsAndKeepsSomeSilenceAround) {
  Found found;
  const auto pieces =
      cut({segment(1.0, 2.0, "One,"), segment(2.3, 3.5, "two"), segment(3.7, 5.0, "three.")}, 30, found);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(text_of(pieces[0]), "One, two three.");
  EXPECT_DOUBLE_EQ(pieces[0].begin, 0.9);
  EXPECT_DOUBLE_EQ(pieces[0].end, 5.1);
  EXPECT_EQ(pieces[0].where, "a.srt:1");
}

TEST(Cut, PiecesHaveTheLengthThatWasAskedFor) {
  Found found;
  std::vector<Segment> segments;
  double time = 0.0;
  for (int i = 0; i < 200; ++i) {
    const double length = 0.7 + 0.13 * (i * 7 % 31), pause = 0.1 + 0.04 * (i * 5 % 11);
    segments.push_back(segment(time, time + length, "s" + std::to_string(i) + (i % 3 == 0 ? "." : ",")));
    time += length + pause;
  }
  CutOptions options;
  std::string all;
  double last = 0.0;
  for (const Piece& piece : cut(segments, time, found, options)) {
    EXPECT_GE(piece.end - piece.begin, options.min_seconds);
    EXPECT_LE(piece.end - piece.begin, options.max_seconds + 1e-9);
    EXPECT_GE(piece.begin, last);
    last = piece.end;
    all += text_of(piece) + " ";
  }
  std::string wanted;
  for (const Segment& s : segments) wanted += s.text + " ";
  EXPECT_EQ(all, wanted) << "nothing is lost or said twice";
}

TEST(Cut, PrefersTheEndOfASentenceAndTheLongPause) {
  Found found;
  CutOptions options;
  options.max_seconds = 13.0;
  // 3 x 6 s: two go together; the full stop decides which.
  auto pieces =
      cut({segment(0, 6, "a b"), segment(6.3, 12, "c."), segment(12.3, 18, "d e")}, 18, found, options);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(text_of(pieces[0]), "a b c.");
  pieces = cut({segment(0, 6, "a b."), segment(6.3, 12, "c"), segment(12.3, 18, "d e")}, 18, found, options);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(text_of(pieces[0]), "a b.");
  // Without sentences the pause does.
  pieces = cut({segment(0, 6, "a"), segment(6.06, 12, "b"), segment(12.6, 18, "c")}, 18, found, options);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(text_of(pieces[0]), "a b");
}

TEST(Cut, ALongSilenceOrAnotherSpeakerEndsAPiece) {
  Found found;
  auto pieces = cut({segment(0, 4, "a"), segment(5.5, 9, "b")}, 10, found);
  EXPECT_EQ(pieces.size(), 2u);
  CutOptions patient;
  patient.max_pause = 2.0;
  EXPECT_EQ(cut({segment(0, 4, "a"), segment(5.5, 9, "b")}, 10, found, patient).size(), 1u);
  pieces = cut({segment(0, 4, "a"), segment(4.2, 9, "b", "bob")}, 10, found);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1].turns[0].speaker, "bob");
}

TEST(Cut, AcrossSpeakersAPieceHasTheirTurns) {
  Found found;
  CutOptions options;
  options.across_speakers = true;
  const auto pieces = cut(
      {segment(0, 2, "Hi."), segment(2.2, 3, "You."), segment(3.2, 5, "Ho.", "bob"), segment(4.8, 7, "He.")},
      10, found, options);
  ASSERT_EQ(pieces.size(), 1u);
  ASSERT_EQ(pieces[0].turns.size(), 3u);
  EXPECT_EQ(pieces[0].turns[0].text, "Hi. You.");
  EXPECT_EQ(pieces[0].turns[1].speaker, "bob");
  EXPECT_EQ(pieces[0].turns[2].text, "He.");
}

TEST(Cut, SpeechOverOtherSpeechIsLeftOut) {
  Found found;
  const auto pieces =
      cut({segment(0, 4, "a"), segment(4.5, 9, "b"), segment(8, 12, "c", "bob"), segment(12.5, 16, "d")}, 20,
          found);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(text_of(pieces[0]), "a");
  EXPECT_EQ(text_of(pieces[1]), "d");
  EXPECT_EQ(found.count("speech over other speech"), 2u);
}

// 30 s of words of 0.5 s, a pause of `pause` behind each tenth.
Segment long_segment(double pause, bool with_spaces = true) {
  Segment s = segment(0, 0, "");
  double time = 0.0;
  for (int i = 0; i < 60; ++i) {
    const std::string word = "w" + std::to_string(i);
    s.text += (s.text.empty() ? "" : " ") + word;
    s.words.push_back({time, time + 0.5, (with_spaces ? " " : "") + word});
    time += 0.5 + (i % 10 == 9 ? pause : 0.0);
  }
  s.end = time;
  return s;
}

TEST(Cut, DividesALongSegmentAtPausesBetweenWords) {
  for (const bool with_spaces : {true, false}) {
    Found found;
    const Segment s = long_segment(0.4, with_spaces);
    const auto pieces = cut({s}, s.end, found, {}, middle);
    ASSERT_GE(pieces.size(), 2u);
    std::string all;
    for (const Piece& piece : pieces) {
      all += (all.empty() ? "" : " ") + text_of(piece);
      EXPECT_LE(piece.end - piece.begin, 20.0);
      EXPECT_EQ(piece.turns[0].text.back(), '9') << "cut behind each tenth word: " << text_of(piece);
    }
    EXPECT_EQ(all, s.text);
  }
}

TEST(Cut, WithoutAPauseTheQuietestPlaceIsTaken) {
  Found found;
  const Segment s = long_segment(0.0);
  const auto quiet = [](double begin, double end) {  // all is loud but 14 s
    const bool is_in = begin <= 14.03 && end >= 14.03;
    return QuietPlace{is_in ? 14.03 : (begin + end) / 2, is_in ? 0.0 : 1.0};
  };
  const auto pieces = cut({s}, s.end, found, {}, quiet);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_DOUBLE_EQ(pieces[0].end, 14.03);
  EXPECT_DOUBLE_EQ(pieces[1].begin, 14.03);
  EXPECT_TRUE(text_of(pieces[1]).starts_with("w28 ")) << text_of(pieces[1]);
}

TEST(Cut, WordsWithoutTimesGoWithTheirNeighbours) {
  Found found;
  Segment s = long_segment(0.4);
  for (const std::size_t i : {9u, 19u, 20u, 29u}) s.words[i].begin = s.words[i].end = std::nullopt;
  std::string all;
  for (const Piece& piece : cut({s}, s.end, found, {}, middle)) {
    all += (all.empty() ? "" : " ") + text_of(piece);
    for (const char* last : {"w8", "w9", "w18", "w19", "w20"}) {
      EXPECT_FALSE(text_of(piece).ends_with(std::string(" ") + last))
          << "where " << last << " ends isn't known";
    }
  }
  EXPECT_EQ(all, s.text);
}

TEST(Cut, RefusesALongSegmentThatCannotBeDivided) {
  Found found;
  Segment other_words = long_segment(0.4);
  other_words.words[3].text = "else";
  Segment s = long_segment(0.4);
  s.words.clear();
  s.begin += 100;
  s.end += 100;
  EXPECT_TRUE(cut({other_words, s}, 200, found, {}, middle).empty());
  EXPECT_EQ(found.count("too long to use, no times of words"), 2u);
  ASSERT_EQ(found.left_out.size(), 2u);
  EXPECT_EQ(found.left_out[0].rfind("a.srt:0: 32.4 s without times of words", 0), 0u) << found.left_out[0];
}

TEST(Cut, WhatIsTooShortIsCounted) {
  Found found;
  EXPECT_TRUE(cut({segment(1, 2, "a"), segment(8, 9, "b")}, 10, found).empty());
  EXPECT_EQ(found.count("shorter than --min_seconds"), 2u);
}

TEST(Cut, NamesSegmentsWithTimesThatCannotBe) {
  Found found;
  const auto pieces =
      cut({segment(5, 4, "a"), segment(-2, 3, "b"), segment(8, 13, "c"), segment(std::nan(""), 3, "d"),
           segment(1, INFINITY, "e"), segment(12, 12.5, "f"), segment(3, 10.5, "g"), segment(0, 2, " ")},
          10, found);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(text_of(pieces[0]), "g");
  EXPECT_DOUBLE_EQ(pieces[0].end, 10.0) << "recognisers count in windows that reach past the end";
  EXPECT_EQ(found.mistakes.size(), 6u);
}

TEST(Cut, ManyWordsWithoutLengthTakeNoTime) {
  Found found;
  Segment s = segment(0, 30, "");
  for (int i = 0; i < 20000; ++i) {
    s.text += "a ";
    s.words.push_back({1.0, 1.0, "a"});
  }
  cut({s}, 30, found, {}, middle);
}

TEST(Loudness, FindsTheQuietPlace) {
  const test::TemporaryFolder folder;
  Waveform wave{std::vector<float>(22050 * 4), 22050};
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    const double time = static_cast<double>(i) / 22050;
    const bool is_quiet = time > 2.2 && time < 2.3;
    wave.samples[i] = (is_quiet ? 0.01F : 0.5F) * static_cast<float>(std::sin(0.2 * static_cast<double>(i)));
  }
  write_wav(folder / "a.wav", wave);
  const Loudness loudness(folder / "a.wav", 4.0, "a");
  EXPECT_NEAR(loudness.quietest(2.0, 2.5).time, 2.25, 0.03);
  EXPECT_LT(loudness.quietest(2.0, 2.5).level, 0.1);
  EXPECT_GT(loudness.quietest(1.0, 1.5).level, 0.9);
  EXPECT_DOUBLE_EQ(loudness.quietest(90.0, 91.0).time, 90.5) << "outside there is nothing to choose";
}

}  // namespace
}  // namespace higgs
