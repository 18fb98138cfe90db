// `prepare` as a user runs it: what it writes, says and refuses.
#include <cmath>
#include <set>

#include "app_test.h"
#include "higgs/audio/waveform.h"

namespace higgs::test {
namespace {

class Prepare : public RefusalTest {
 protected:
  void wav(const std::string& name, double seconds) const {
    fs::create_directories((scratch / name).parent_path());
    Waveform wave{std::vector<float>(static_cast<std::size_t>(16000 * seconds)), 16000};
    for (std::size_t i = 0; i < wave.samples.size(); ++i) {
      wave.samples[i] = 0.3F * static_cast<float>(std::sin(0.05 * static_cast<double>(i)));
    }
    write_wav(scratch / name, wave);
  }

  // `count` pairs of 3 s and more in rec/, a folder for each speaker.
  void pairs(int count, const std::vector<std::string>& speakers) const {
    for (int i = 0; i < count; ++i) {
      const std::string name =
          "rec/" + speakers[static_cast<std::size_t>(i) % speakers.size()] + "/" + std::to_string(i);
      wav(name + ".wav", 3.0 + 0.1 * i);
      write(name + ".txt", "This is text " + std::to_string(i) + ".\n");
    }
  }

  Arguments prepare(const Arguments& more = {}) const {
    return Arguments{"prepare", scratch / "rec", "--out", scratch / "out"} + more;
  }

  std::vector<Json> samples(const std::string& name) const {
    std::vector<Json> all;
    for (const std::string& line : lines_of(text_of(scratch / "out" / name)))
      all.push_back(Json::parse(line));
    return all;
  }

  static std::string last_clip(const Json& sample) {
    return sample["messages"].back()["content"]["audio_url"].get<std::string>();
  }
};

TEST_F(Prepare, PairsBecomeManifestsThatTheTrainerReads) {
  pairs(20, {"ann", "bob"});
  const ProcessResult result = run(prepare({"--val_split", "0.1", "--scene", "A hall."}));
  EXPECT_EQ(result.out, "");
  for (const char* said :
       {"read as layout 'pairs'", "20 clips, 1:19 of sound, 2 speakers; 3-5 s: 20", "train.jsonl: 18 samples",
        "val.jsonl: 2 samples", "next: higgs_train check ", "then: higgs_train train --train_manifest "}) {
    EXPECT_NE(result.err.find(said), std::string::npos) << said << " is missing in " << result.err;
  }
  const auto train = samples("train.jsonl"), val = samples("val.jsonl");
  ASSERT_EQ(train.size(), 18u);
  ASSERT_EQ(val.size(), 2u);
  EXPECT_EQ(last_clip(train[0]).rfind("../rec/ann/", 0), 0u) << "relative to the manifest";
  EXPECT_EQ(train[0]["speaker"], "ann");
  EXPECT_EQ(train[0]["messages"][0]["content"],
            "Generate audio following instruction.\n\n<|scene_desc_start|>\nA hall.\n<|scene_desc_end|>");
  EXPECT_EQ(train[0]["messages"][1]["content"].get<std::string>().rfind("This is text ", 0), 0u);
  run(Arguments{"inspect", "tokens", "--manifest", scratch / "out/train.jsonl", "--out",
                scratch / "t.safetensors"} +
      demo_base());
  run(Arguments{"encode", "--manifest", scratch / "out/val.jsonl", "--cache_dir", scratch / "cache"} +
      demo_base());
}

TEST_F(Prepare, TheSameCommandWritesTheSameBytes) {
  pairs(12, {"ann"});
  run(prepare({"--form", "clone"}));
  const std::string first = text_of(scratch / "out/train.jsonl");
  run(prepare({"--form", "clone", "--overwrite"}));
  EXPECT_EQ(text_of(scratch / "out/train.jsonl"), first);
  run(prepare({"--form", "clone", "--overwrite", "--seed", "7"}));
  EXPECT_NE(text_of(scratch / "out/train.jsonl"), first);
}

TEST_F(Prepare, CloningHasAReferenceOfTheSpeakerAndNeverTheClip) {
  pairs(30, {"ann", "bob", "eve"});
  wav("rec/max/0.wav", 4);
  write("rec/max/0.txt", "Max alone.");
  const ProcessResult result = run(prepare({"--form", "clone", "--val_split", "0.2"}));
  EXPECT_NE(result.err.find("speaker 'max': 1 clip without another of 3 to 15 s"), std::string::npos)
      << result.err;
  std::set<std::string> clips[2];
  int side = 0;
  for (const char* name : {"train.jsonl", "val.jsonl"}) {
    for (const Json& sample : samples(name)) {
      ASSERT_EQ(sample["messages"].size(), 5u);
      EXPECT_EQ(sample["start_index"], 4);
      const std::string reference = sample["messages"][2]["content"]["audio_url"], target = last_clip(sample);
      EXPECT_NE(reference, target);
      EXPECT_EQ(fs::path(reference).parent_path(), fs::path(target).parent_path()) << "of the same speaker";
      EXPECT_NE(sample["messages"][1]["content"], sample["messages"][3]["content"]);
      clips[side].insert({reference, target});
    }
    ++side;
  }
  EXPECT_GE(clips[1].size(), 6u);
  for (const std::string& clip : clips[1]) EXPECT_EQ(clips[0].count(clip), 0u) << clip << " is on both sides";
}

TEST_F(Prepare, ADialogueIsCutOutOfALongRecording) {
  wav("rec/talk.wav", 60);
  std::string vtt = "WEBVTT\n\n";
  for (int i = 0; i < 12; ++i) {
    const std::string begin = std::to_string(10 + i * 4), end = std::to_string(13 + i * 4);
    vtt += "00:" + begin + ".000 --> 00:" + end + ".500\n<v " + (i % 2 ? "Bob" : "Ann") + ">Line " +
           std::to_string(i) + ".\n\n";
  }
  write("rec/talk.vtt", vtt);
  write("d.csv", "speaker,description\nAnn,feminine\n");
  run(prepare({"--form", "dialogue", "--val_split", "0", "--speaker_descriptions", scratch / "d.csv"}));
  const auto train = samples("train.jsonl");
  ASSERT_GE(train.size(), 3u);
  EXPECT_FALSE(fs::exists(scratch / "out/val.jsonl"));
  const std::string system = train[0]["messages"][0]["content"], user = train[0]["messages"][1]["content"];
  EXPECT_NE(system.find("SPEAKER0: feminine\nSPEAKER1: Bob\n<|scene_desc_end|>"), std::string::npos)
      << system;
  EXPECT_EQ(user.rfind("[SPEAKER0] Line 0.\n[SPEAKER1] Line 1.", 0), 0u) << user;
  const Json clip = train[0]["messages"][2]["content"];
  EXPECT_EQ(clip["audio_url"], "../rec/talk.wav");
  EXPECT_NEAR(clip["offset"].get<double>(), 9.9, 1e-9);
  EXPECT_LE(clip["duration"].get<double>(), 20.0);
}

TEST_F(Prepare, ATableIsFoundUnderAPathThatEndsInASlash) {
  wav("rec/wavs/1.wav", 2);
  write("rec/list.csv", "file,text,speaker\n1,\"One, two.\",ann\n");
  run({"prepare", (scratch / "rec").string() + "/", "--out", scratch / "out"});
  const auto train = samples("train.jsonl");
  ASSERT_EQ(train.size(), 1u);
  EXPECT_EQ(last_clip(train[0]), "../rec/wavs/1.wav");
  EXPECT_EQ(train[0]["messages"][1]["content"], "One, two.");
}

TEST_F(Prepare, FlagsMayComeFromAFileAndTheOutputMayBeTheFolder) {
  pairs(4, {"ann"});
  const fs::path config = write("p.toml", "form = \"clone\"\nval_split = 0\nspeaker = \"me\"\n");
  run({"prepare", scratch / "rec", "--out", scratch / "rec", "--config", config});
  const std::string line = lines_of(text_of(scratch / "rec/train.jsonl"))[0];
  EXPECT_EQ(Json::parse(line)["speaker"], "me");
  EXPECT_EQ(last_clip(Json::parse(line)).rfind("ann/", 0), 0u) << line;
  EXPECT_FALSE(fs::exists(scratch / "rec/val.jsonl"));
}

TEST_F(Prepare, MistakesAreNamedOneByOneAndSkippedOnDemand) {
  pairs(4, {"ann"});
  wav("rec/ann/x.wav", 3);
  write("rec/ann/y.txt", "Special <|AUDIO|> text.");
  wav("rec/ann/y.wav", 3);
  expect_refused(prepare(), {"2 mistakes", "--skip_bad_samples", "nothing was written"});
  const ProcessResult result = run(prepare({"--skip_bad_samples"}));
  for (const char* said :
       {"x.wav: no text beside it", "y.txt:1: the text holds <|...|>", "2 mistakes skipped"}) {
    EXPECT_NE(result.err.find(said), std::string::npos) << said << " is missing in " << result.err;
  }
  EXPECT_EQ(samples("train.jsonl").size(), 3u);
}

TEST_F(Prepare, RefusesWhatItCannotDo) {
  expect_refused({"prepare", "--out", scratch / "out"}, {"FOLDER is missing: recordings with their texts"});
  expect_refused({"prepare", scratch.path()}, {"--out is missing"});
  expect_refused(prepare(), {"rec: no such folder or file"});
  pairs(2, {"ann"});
  expect_refused(prepare({"--form", "dialogue"}), {"--form dialogue needs long recordings", "'pairs'"});
  expect_refused(prepare({"--min_seconds", "9", "--max_seconds", "8"}), {"--min_seconds must not be more"});
  expect_refused(prepare({"--min_seconds", "9"}),
                 {"holds no usable clip: 0 mistakes", "2 shorter than --min_seconds"});
  expect_refused(prepare({"--val_speakers", "1"}), {"--val_speakers 1: there are 1 speakers"});
  expect_refused(prepare({"--form", "clones"}), {"--form: 'clones' is not one of single, clone, dialogue"});
  expect_refused(prepare({"--layout", "ljspeech"}), {"metadata.csv", "cannot be opened"});
  write("out/train.jsonl", "mine\n");
  expect_refused(prepare(), {"--out ", "train.jsonl is there already", "--overwrite"});
  expect_refused(prepare({"--out", write("file", "")}), {"--out ", "is not a folder"});
  EXPECT_EQ(text_of(scratch / "out/train.jsonl"), "mine\n");
}

}  // namespace
}  // namespace higgs::test
