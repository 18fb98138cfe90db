// Auditions of a training run, on the digit speaker of demo/.
#include "higgs/audio/waveform.h"
#include "train_process.h"

namespace higgs::test {
namespace {

class Auditions : public TrainTest {
 protected:
  Arguments train(const std::string& output) const {
    const fs::path training = write("train.jsonl", first_lines(demo("voice/train.jsonl"), 4));
    const fs::path held_out = write("val.jsonl", first_lines(demo("voice/val.jsonl"), 4));
    return Arguments{"train",
                     "--train_manifest",
                     training,
                     "--val_manifest",
                     held_out,
                     "--output_dir",
                     scratch / output,
                     "--max_steps",
                     "2",
                     "--val_steps",
                     "1",
                     "--auditions",
                     "2",
                     "--save_steps",
                     "1"} +
           demo_base();
  }
  std::vector<Json> lines(const std::string& name, const std::string& kind) const {
    std::vector<Json> all;
    for (const Json& line : metrics(name)) {
      if (line["kind"] == kind) all.push_back(line);
    }
    return all;
  }
  static std::size_t num_players(const std::string& page) {
    std::size_t n = 0;
    for (std::size_t at = page.find("<audio"); at != std::string::npos; at = page.find("<audio", at + 1)) ++n;
    return n;
  }
};

TEST_F(Auditions, AreSpokenAtEachValidationAndHeardInTheReport) {
  run(train("run"));
  const auto clips = lines("run", "audition"), recordings = lines("run", "reference");
  ASSERT_EQ(clips.size(), 6u);
  ASSERT_EQ(recordings.size(), 2u);
  EXPECT_EQ(recordings[0]["text"], clips[0]["text"]);
  EXPECT_NE(clips[0]["text"], clips[1]["text"]);
  for (const Json& clip : metrics("run")) {
    if (!clip.contains("file")) continue;
    const Waveform sound = read_audio_file(scratch / "run" / clip["file"].get<std::string>());
    EXPECT_NEAR(static_cast<double>(sound.samples.size()) / sound.sample_rate, clip["clip_seconds"], 1e-3);
    EXPECT_GT(clip["clip_seconds"], 0.3);
  }
  const std::string page = text_of(scratch / "run/report.html");
  EXPECT_EQ(num_players(page), 8u);
  EXPECT_NE(page.find(clips[0]["text"].get<std::string>()), std::string::npos);
}

// What a stop in between must not change.
TEST_F(Auditions, AreTheSameInARunThatWasContinued) {
  run(train("run"));
  const auto whole = results("run");
  fs::remove_all(scratch / "run/checkpoints/step-000002");
  fs::remove_all(scratch / "run/adapter");
  run(train("run"));
  EXPECT_EQ(results("run"), whole);
}

TEST_F(Auditions, TextsOfAFileAreSpokenAsWell) {
  const fs::path texts = write("texts.txt", "one two\n\nthree\n");
  run(train("run") + Arguments{"--auditions", "0", "--audition_texts", texts, "--max_steps", "1"});
  const auto clips = lines("run", "audition");
  ASSERT_EQ(clips.size(), 4u);
  EXPECT_EQ(clips[1]["text"], "three");
  EXPECT_EQ(lines("run", "reference").size(), 0u);
  const ProcessResult refused =
      higgs(train("other") + Arguments{"--audition_texts", write("empty.txt", "\n")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--audition_texts " + (scratch / "empty.txt").string() + ": holds no text"),
            std::string::npos)
      << refused.err;
}

// Encoded clips need no codec; without one nothing can be heard, but all can be trained.
TEST_F(Auditions, WithoutACodecTheRunSaysSo) {
  const ProcessResult result = run(Arguments{"train", "--train_manifest", golden("e2e/manifest.jsonl"),
                                             "--output_dir", scratch / "run", "--max_steps", "1"} +
                                   golden_base_without_codec());
  EXPECT_NE(result.err.find("no auditions: "), std::string::npos) << result.err;
  EXPECT_EQ(lines("run", "audition").size(), 0u);
}

// Each rank speaks its share; what is heard is what one process would say.
TEST_F(Auditions, AreSharedBetweenRanks) {
  run(train("one") + Arguments{"--batch_size", "2", "--max_steps", "1"});
  const ProcessResult result =
      run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np",
                            "2", program()} +
                      train("two") + Arguments{"--batch_size", "1", "--max_steps", "1"},
                  environment());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto one = lines("one", "audition"), two = lines("two", "audition");
  ASSERT_EQ(one.size(), 4u);
  ASSERT_EQ(two.size(), 4u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(one[i], two[i]) << "at step 0";
  EXPECT_EQ(lines("two", "reference"), lines("one", "reference"));
}

}  // namespace
}  // namespace higgs::test
