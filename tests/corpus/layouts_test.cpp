#include <gtest/gtest.h>

#include <cmath>

#include "found.h"
#include "higgs/audio/waveform.h"
#include "higgs/corpus/corpus.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::Found;
using test::user_error;

class Layouts : public ::testing::Test {
 protected:
  void text(const std::string& name, const std::string& content) { test::write_text(folder / name, content); }
  void wav(const std::string& name, double seconds = 1.0) {
    fs::create_directories((folder / name).parent_path());
    write_wav(folder / name, {std::vector<float>(static_cast<std::size_t>(8000 * seconds), 0.1F), 8000});
  }
  std::vector<Utterance> read(CorpusLayout layout, const std::string& name = "") {
    return read_corpus(name.empty() ? folder.path() : folder / name, layout, options, found.findings);
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  void expect_mistake(const std::string& begin) {
    ASSERT_EQ(found.mistakes.size(), 1u);
    EXPECT_EQ(found.mistakes[0].rfind(begin, 0), 0u) << found.mistakes[0];
    found.mistakes.clear();
  }

  test::TemporaryFolder folder;
  CorpusOptions options = [] {
    CorpusOptions o;
    o.cut.min_seconds = 0.5;
    return o;
  }();
  Found found;
};

TEST_F(Layouts, Pairs) {
  wav("b/2.wav");
  text("b/2.txt", " Two\nlines. \n");
  text("b/2.normalized.txt", "Two, lines.");
  wav("1.WAV");
  text("1.txt", "\xEF\xBB\xBFOne.");
  wav(".hidden/3.wav");
  text("readme.txt", "not a text");
  EXPECT_EQ(find_layout(folder.path()), CorpusLayout::kPairs);
  const auto all = read(CorpusLayout::kPairs);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].turns[0].text, "One.");
  EXPECT_EQ(all[0].speaker(), kDefaultSpeaker);
  EXPECT_DOUBLE_EQ(all[0].seconds, 1.0);
  EXPECT_FALSE(all[0].offset);
  EXPECT_EQ(all[1].turns[0].text, "Two, lines.") << "LibriTTS's normalised text is what is said";
  EXPECT_EQ(all[1].speaker(), "b") << "a folder for each speaker";
  options.speaker = "me";
  EXPECT_EQ(read(CorpusLayout::kPairs)[1].speaker(), "me");
  EXPECT_TRUE(found.mistakes.empty());
}

TEST_F(Layouts, PairsNameWhatIsWrong) {
  wav("a.wav");
  EXPECT_TRUE(read(CorpusLayout::kPairs).empty());
  expect_mistake(at("a.wav") + ": no text beside it; write what it says into a.txt");
  text("a.txt", " \n");
  read(CorpusLayout::kPairs);
  expect_mistake(at("a.txt") + ":1: no text for ");
  text("a.txt", "x\xFF");
  read(CorpusLayout::kPairs);
  expect_mistake(at("a.txt") + ":1: is not UTF-8");
  text("a.txt", "One.");
  text("a.wav", "RIFF, but no sound");
  read(CorpusLayout::kPairs);
  expect_mistake(at("a.txt") + ":1: " + at("a.wav") + ": is not an audio file");
  fs::rename(folder / "a.wav", folder / "a.m4a");
  read(CorpusLayout::kPairs);
  expect_mistake(at("a.txt") + ":1: " + at("a.m4a") +
                 ": wav, flac, ogg and mp3 are read; convert it: ffmpeg");
}

TEST_F(Layouts, TooShortAndTooLongClipsAreCounted) {
  wav("a.wav", 0.4);
  text("a.txt", "A");
  wav("b.wav", 21);
  text("b.txt", "B");
  EXPECT_TRUE(read(CorpusLayout::kPairs).empty());
  EXPECT_TRUE(found.mistakes.empty());
  EXPECT_EQ(found.count("shorter than --min_seconds"), 1u);
  EXPECT_EQ(found.count("longer than --max_seconds"), 1u);
}

TEST_F(Layouts, Ljspeech) {
  wav("wavs/LJ1.wav");
  wav("wavs/LJ2.wav");
  wav("wavs/LJ3.wav");
  text("metadata.csv", "LJ1|He said \"5|He said \"five\nLJ2|Two.\r\nLJ3|Three.|\nLJ4|No file.\nLJ5\n");
  EXPECT_EQ(find_layout(folder.path()), CorpusLayout::kLjspeech);
  const auto all = read(CorpusLayout::kLjspeech);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].turns[0].text, "He said \"five");
  EXPECT_EQ(all[0].audio, folder / "wavs/LJ1.wav");
  EXPECT_EQ(all[0].where, at("metadata.csv") + ":1");
  EXPECT_EQ(all[1].turns[0].text, "Two.");
  EXPECT_EQ(all[2].turns[0].text, "Three.") << "an empty third column is no text";
  ASSERT_EQ(found.mistakes.size(), 2u);
  EXPECT_EQ(found.mistakes[0].rfind(at("metadata.csv") + ":4: " + at("LJ4") + ": no such recording", 0), 0u);
  EXPECT_EQ(found.mistakes[1].rfind(at("metadata.csv") + ":5: 1 columns; LJSpeech has", 0), 0u);
}

TEST_F(Layouts, TableWithUsualAndNamedColumns) {
  wav("clips/x.wav", 4);
  text("all.tsv", "client_id\tpath\tsentence\tup_votes\nann\tx\tOne.\t2\n");  // Common Voice
  EXPECT_EQ(find_layout(folder.path()), CorpusLayout::kTable);
  auto all = read(CorpusLayout::kTable);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].speaker(), "ann");
  EXPECT_EQ(all[0].turns[0].text, "One.");
  text("own.csv", "Datei;Wort;Wer;start;end\nclips/x.wav;\"Eins; zwei\";bob;1.5;3\n");
  options.audio_column = "Datei";
  options.text_column = "Wort";
  options.speaker_column = "Wer";
  all = read(CorpusLayout::kTable, "own.csv");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].turns[0].text, "Eins; zwei");
  EXPECT_EQ(all[0].speaker(), "bob");
  EXPECT_DOUBLE_EQ(*all[0].offset, 1.5);
  EXPECT_DOUBLE_EQ(*all[0].duration, 1.5);
  EXPECT_NE(
      user_error([&] { read(CorpusLayout::kTable); }).find("holds 2 tables (csv, tsv); name the one to read"),
      std::string::npos);
}

TEST_F(Layouts, TableRowWithoutARecordingIsNamed) {
  wav("x.wav", 4);
  text("all.csv", "file_name,text\nx.wav,One.\n,Two.\n");
  EXPECT_EQ(read(CorpusLayout::kTable).size(), 1u);
  expect_mistake(at("all.csv") + ":3: names no recording; fill in the column, or remove the row");
}

TEST_F(Layouts, TableNamesWhatIsWrong) {
  wav("x.wav", 4);
  text("t.csv",
       "audio,text,offset,duration\nx.wav,a,0,2\nx.wav,b\nnone,c,,\nhttp://x/y.wav,d,,\nx.wav,e,zero,1\n"
       "x.wav,f,3,2\nx.wav,,,\nx.wav,g,-1,2\nx.wav,h,1e999,1\n,i,,\n../x.wav\x01,j,,\n");
  EXPECT_EQ(read(CorpusLayout::kTable).size(), 1u);
  const std::vector<std::string> wanted = {":3: 2 fields for 4 columns",
                                           ":4: " + at("none") + ": no such recording",
                                           ":5: 'http://x/y.wav' is not a local",
                                           ":6: column 'offset' must be a time in seconds, not 'zero'",
                                           ":7: " + at("x.wav") + ": begin and end",
                                           ":8: no text for ",
                                           ":9: " + at("x.wav") + ": begin and end",
                                           ":10: column 'offset'",
                                           ":11: names no recording",
                                           ":12: "};
  ASSERT_EQ(found.mistakes.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(found.mistakes[i].rfind(at("t.csv") + wanted[i], 0), 0u) << found.mistakes[i];
  }
  text("t.csv", "a,b\n1,2\n");
  EXPECT_EQ(user_error([&] { read(CorpusLayout::kTable); }),
            at("t.csv") + ":1: no column of audio; name it with --audio_column; its columns are: a, b");
  options.audio_column = "c";
  EXPECT_EQ(user_error([&] { read(CorpusLayout::kTable); }),
            at("t.csv") + ":1: no column 'c', which --audio_column names; its columns are: a, b");
}

TEST_F(Layouts, AudiofolderWithCsvAndJsonl) {
  wav("train/a.wav");
  wav("test/b.wav");
  text("train/metadata.csv", "file_name,transcription\na.wav,\"One,\ntwo.\"\n");
  text("test/metadata.jsonl",
       "{\"file_name\": \"b.wav\", \"text\": \"Three.\", \"speaker_id\": 7}\n\n{\"file_name\": 5\n"
       "[]\n{\"file_name\": \"b.wav\", \"text\": null}\n");
  EXPECT_EQ(find_layout(folder.path()), CorpusLayout::kAudiofolder);
  const auto all = read(CorpusLayout::kAudiofolder);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].turns[0].text, "Three.");
  EXPECT_EQ(all[0].speaker(), "7");
  EXPECT_EQ(all[1].turns[0].text, "One, two.");
  ASSERT_EQ(found.mistakes.size(), 3u);
  EXPECT_EQ(found.mistakes[0].rfind(at("test/metadata.jsonl") + ":3: not valid JSON", 0), 0u);
  EXPECT_EQ(found.mistakes[1].rfind(at("test/metadata.jsonl") + ":4: must be a JSON object", 0), 0u);
  EXPECT_EQ(found.mistakes[2].rfind(at("test/metadata.jsonl") + ":5: no text for", 0), 0u);
}

TEST_F(Layouts, SegmentsBecomeClipsWithOffsetAndDuration) {
  options.cut.min_seconds = 3.0;
  wav("talk.wav", 20);
  text("talk.srt", "1\n00:00:01,000 --> 00:00:06,000\nOne.\n\n2\n00:00:09,000 --> 00:00:14,500\nTwo.\n");
  text("talk.txt", "One. Two.");  // whisper writes one of each kind
  EXPECT_EQ(find_layout(folder.path()), CorpusLayout::kSegments);
  auto all = read(CorpusLayout::kSegments);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].audio, folder / "talk.wav");
  EXPECT_DOUBLE_EQ(*all[1].offset, 8.9);
  EXPECT_NEAR(*all[1].duration, 5.7, 1e-9);
  EXPECT_EQ(all[1].turns[0].text, "Two.");
  EXPECT_EQ(all[1].where, at("talk.srt") + ":6");
  EXPECT_EQ(all[1].speaker(), kDefaultSpeaker);
  // Of several transcripts the one that may have the times of words; a recording alone does too.
  text("talk.json", R"([{"start": 1, "end": 6, "text": "Uno.", "speaker": "SPEAKER_01"},
                        {"start": 6, "end": 11, "text": "Due.", "speaker": "Eva"}])");
  all = read(CorpusLayout::kSegments, "talk.wav");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].turns[0].text, "Uno.");
  EXPECT_EQ(all[0].speaker(), "talk/SPEAKER_01") << "numbers are given anew in each recording";
  EXPECT_EQ(all[1].speaker(), "Eva");
}

TEST_F(Layouts, SegmentsNameWhatIsWrong) {
  wav("talk.wav", 20);
  EXPECT_TRUE(read(CorpusLayout::kSegments).empty());
  expect_mistake(at("talk.wav") + ": no transcript beside it");
  text("talk.json", "{\"segments\": [");
  read(CorpusLayout::kSegments);
  expect_mistake(at("talk.json") + ": not valid JSON");
  text("talk.json", R"([{"start": 40, "end": 60, "text": "Uno."}])");
  read(CorpusLayout::kSegments);
  expect_mistake(at("talk.json") + ": segment 1: ends at 60.0 s, the recording at 20.0 s");
}

TEST_F(Layouts, WhatHasNoLayoutIsSaid) {
  EXPECT_NE(user_error([&] { find_layout(folder / "none"); }).find("no such folder or file"),
            std::string::npos);
  EXPECT_NE(user_error([&] { read(CorpusLayout::kPairs, "none"); }).find("no such folder or file"),
            std::string::npos);
  wav("a.wav");
  EXPECT_NE(user_error([&] { find_layout(folder.path()); }).find("1 recordings, 0 tables, and no text"),
            std::string::npos);
  EXPECT_EQ(find_layout(folder / "a.wav"), CorpusLayout::kSegments);
  text("a.csv", "");
  text("a.doc", "");
  EXPECT_EQ(find_layout(folder / "a.csv"), CorpusLayout::kTable);
  EXPECT_NE(user_error([&] { find_layout(folder / "a.doc"); }).find("is neither a folder"),
            std::string::npos);
  EXPECT_NE(user_error([&] {
              read(CorpusLayout::kPairs, "a.csv");
            }).find("is a file; --layout pairs reads a folder"),
            std::string::npos);
  EXPECT_NE(user_error([&] { read(CorpusLayout::kAudiofolder); }).find("holds no metadata.csv"),
            std::string::npos);
}

TEST_F(Layouts, NamesAreTheFlags) {
  for (const char* name : {"pairs", "ljspeech", "table", "audiofolder", "segments"}) {
    EXPECT_STREQ(name_of(layout_of(name)), name);
  }
  EXPECT_NE(user_error([] { layout_of("heap"); }).find("'heap'"), std::string::npos);
}

TEST_F(Layouts, DescriptionsAreATable) {
  text("d.csv", "description,speaker\n\"feminine, warm\",ann\n");
  EXPECT_EQ(read_descriptions(folder / "d.csv"),
            (std::map<std::string, std::string>{{"ann", "feminine, warm"}}));
  text("d.csv", "name,speaker\na,b\n");
  EXPECT_NE(user_error([&] { read_descriptions(folder / "d.csv"); }).find("no column 'description'"),
            std::string::npos);
  text("d.csv", "description,speaker\na\n");
  EXPECT_NE(user_error([&] { read_descriptions(folder / "d.csv"); }).find("d.csv:2: 1 fields"),
            std::string::npos);
}

}  // namespace
}  // namespace higgs
