// `evaluate` as a process, on the demo: base beside adapter, groups, speech, the checkpoints of a run.
#include <cmath>

#include "app_test.h"

namespace higgs::test {
namespace {

class EvaluateDemo : public AppTest {
 protected:
  // A short run of the demo with a checkpoint every other step, shared by the tests.
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const ProcessResult result = run_process(Arguments{program(),
                                                       "train",
                                                       "--train_manifest",
                                                       demo("voice/val.jsonl"),
                                                       "--output_dir",
                                                       trained(),
                                                       "--cache_dir",
                                                       *folder_ / "codes",
                                                       "--batch_size",
                                                       "4",
                                                       "--max_steps",
                                                       "4",
                                                       "--save_steps",
                                                       "2",
                                                       "--lr",
                                                       "2e-3",
                                                       "--warmup",
                                                       "0",
                                                       "--val_split",
                                                       "0",
                                                       "--self_test",
                                                       "off"} +
                                                 demo_base(),
                                             {{"OMP_NUM_THREADS", "1"}});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  static void TearDownTestSuite() { delete folder_; }

  static fs::path trained() { return *folder_ / "run"; }
  static Arguments evaluate(const fs::path& manifest) {
    return Arguments{"evaluate", "--manifest", manifest, "--cache_dir", *folder_ / "codes"} + demo_base();
  }
  static Arguments with_adapter() { return {"--adapter", trained() / "adapter"}; }
  fs::path held_out(std::size_t lines) const {
    return write("held_out.jsonl", first_lines(demo("voice/val.jsonl"), lines));
  }
  Json json_of(const Arguments& arguments) const {
    return Json::parse(run(arguments + Arguments{"--json", "-"}).out);
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* EvaluateDemo::folder_ = nullptr;

// What belongs to the clock.
Json without_seconds(Json object) {
  object.erase("seconds");
  return object;
}

TEST_F(EvaluateDemo, BaseAndAdapterStandSideBySide) {
  const Arguments quiet = {"--speak", "0"};
  const fs::path file = scratch / "new/result.json";
  const ProcessResult result =
      run(evaluate(held_out(3)) + with_adapter() + quiet + Arguments{"--json", file});
  const Json both = Json::parse(text_of(file));
  const Json base = json_of(evaluate(held_out(3)) + quiet);
  const Json adapter = json_of(evaluate(held_out(3)) + with_adapter() + quiet + Arguments{"--base", "off"});
  EXPECT_EQ(without_seconds(both.at("base")), without_seconds(base)) << "the adapter is off";
  EXPECT_FALSE(adapter.contains("base"));
  for (const char* key : {"loss", "loss_text", "loss_audio", "loss_codebooks", "accuracy_codebooks",
                          "accuracy_top10_codebooks", "tokens", "samples"}) {
    EXPECT_EQ(both.at(key), adapter.at(key)) << key;
  }
  EXPECT_LT(both.at("loss_audio").get<double>(), base.at("loss_audio").get<double>() - 0.05);
  EXPECT_EQ(both.at("kind"), "eval");
  EXPECT_EQ(both.at("samples"), 3);
  EXPECT_TRUE(both.at("seconds").is_number());
  EXPECT_FALSE(both.contains("speech"));

  char row[120];
  std::snprintf(row, sizeof row, "\nloss, audio  %.3f    %.3f  %+.3f\n", base["loss_audio"].get<double>(),
                both["loss_audio"].get<double>(),
                both["loss_audio"].get<double>() - base["loss_audio"].get<double>());
  EXPECT_NE(result.out.find(row), std::string::npos) << row << result.out;
  EXPECT_NE(result.out.find("base  adapter  change\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\ntop-10 (%), adapter "), std::string::npos) << result.out;
}

TEST_F(EvaluateDemo, OneModelHasOneColumn) {
  const ProcessResult result = run(evaluate(held_out(2)) + Arguments{"--speak", "0"});
  EXPECT_EQ(result.out.find("change"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("adapter"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("speaker"), std::string::npos) << "there is but one: " << result.out;
}

TEST_F(EvaluateDemo, SpeakersAndLanguagesHaveTheirRows) {
  std::string lines;
  int i = 0;
  for (const std::string& text : lines_of(first_lines(demo("voice/val.jsonl"), 3))) {
    Json line = Json::parse(text);
    line["speaker"] = i == 1 ? "Bob" : "Ann";
    if (i == 2) line["misc"] = {{"language", "cs"}};
    lines += line.dump() + "\n";
    ++i;
  }
  const fs::path file = scratch / "r.json";
  const ProcessResult result =
      run(evaluate(write("two.jsonl", lines)) + with_adapter() + Arguments{"--speak", "0", "--json", file});
  const Json all = Json::parse(text_of(file));
  ASSERT_EQ(all.at("speakers").size(), 2u);
  const Json &ann = all["speakers"][0], &bob = all["speakers"][1];
  EXPECT_EQ(ann.at("speaker"), "Ann");
  EXPECT_EQ(ann.at("samples"), 2);
  EXPECT_EQ(bob.at("samples"), 1);
  EXPECT_EQ(all["languages"][0].at("language"), "Latin");
  EXPECT_EQ(all["languages"][1].at("language"), "cs");
  EXPECT_EQ(ann["tokens"].get<int>() + bob["tokens"].get<int>(), all["tokens"].get<int>());
  // Bob's own, as when he is alone.
  const Json alone = json_of(evaluate(write("bob.jsonl", lines_of(lines)[1] + "\n")) + with_adapter() +
                             Arguments{"--speak", "0", "--base", "off"});
  EXPECT_NEAR(bob["loss_audio"].get<double>(), alone["loss_audio"].get<double>(), 1e-5);
  EXPECT_EQ(bob["accuracy_top10_codebooks"], alone["accuracy_top10_codebooks"]);
  EXPECT_EQ(all["base"].at("speakers").size(), 2u);
  EXPECT_NE(result.out.find("\nBob            1 "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\ncs              1 "), std::string::npos) << result.out;
}

// The clips are those that `generate` makes of the same manifest and seed.
TEST_F(EvaluateDemo, SpeaksAsGenerateDoes) {
  const fs::path manifest = held_out(4);
  const fs::path file = scratch / "r.json";
  const ProcessResult result =
      run(evaluate(manifest) + with_adapter() +
          Arguments{"--speak", "2", "--seed", "3", "--out_dir", scratch / "wavs", "--json", file});
  const Json all = Json::parse(text_of(file));
  const Json& speech = all.at("speech");
  EXPECT_EQ(speech.at("samples"), 2);
  ASSERT_EQ(speech.at("clips").size(), 2u);
  EXPECT_EQ(speech["clips"][0].at("line"), 1);
  EXPECT_EQ(speech["clips"][1].at("line"), 3) << "evenly spread";
  run(Arguments{"generate", "--manifest", manifest, "--seed", "3", "--out", scratch / "said.wav"} +
      with_adapter() + demo_base());
  EXPECT_EQ(text_of(scratch / "wavs/adapter/line_00001.wav"), text_of(scratch / "said_000.wav"));
  EXPECT_EQ(text_of(scratch / "wavs/adapter/line_00003.wav"), text_of(scratch / "said_002.wav"));
  EXPECT_EQ(speech["clips"][0].at("wav"), (scratch / "wavs/adapter/line_00001.wav").string());
  EXPECT_TRUE(fs::exists(scratch / "wavs/base/line_00001.wav"));
  double error = 0, stopped = 0;
  for (const Json& clip : speech["clips"]) {
    error += (clip["seconds"].get<double>() / clip["recorded_seconds"].get<double>() - 1.0) / 2.0;
    stopped += clip["stopped"].get<bool>() ? 0.5 : 0.0;
    EXPECT_GT(clip["distance"].get<double>(), 0.0);
    EXPECT_GT(clip["distance_to_other"].get<double>(), 0.0);
    EXPECT_GE(clip["silent_tail"].get<double>(), 0.0);
    EXPECT_LT(clip["silent_tail"].get<double>(), clip["seconds"].get<double>());
  }
  EXPECT_NEAR(speech["length_error"].get<double>(), error, 1e-12);
  EXPECT_NEAR(speech["stop_rate"].get<double>(), stopped, 1e-12);
  for (const char* row : {"\nstop rate (%) ", "\nsilent tail (s) ", "\nlength error (%) ",
                          "\ndistance to the recording ", "\n  to another recording "}) {
    EXPECT_NE(result.out.find(row), std::string::npos) << row << result.out;
  }
}

// Encoded clips need no codec; without one nothing can be spoken, which is an error only when it was asked
// for.
TEST_F(EvaluateDemo, WithoutACodecNothingIsSpoken) {
  const Arguments golden_run =
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl")} + golden_base_without_codec();
  const ProcessResult result = run(golden_run + Arguments{"--json", scratch / "r.json"});
  EXPECT_FALSE(Json::parse(text_of(scratch / "r.json")).contains("speech"));
  EXPECT_NE(result.err.find("no audio tokenizer found"), std::string::npos) << result.err;
  const ProcessResult asked = higgs(golden_run + Arguments{"--speak", "1"});
  EXPECT_EQ(asked.exit_code, 2) << asked.err;
  EXPECT_EQ(run(golden_run + Arguments{"--speak", "0"}).err.find("audio tokenizer"), std::string::npos);
}

TEST_F(EvaluateDemo, ARunsCheckpointsAreComparedAndTheBestIsNamed) {
  const fs::path manifest = held_out(3), file = scratch / "r.json";
  const ProcessResult result =
      run(evaluate(manifest) + Arguments{"--run", trained(), "--speak", "1", "--greedy", "--json", file});
  const Json all = Json::parse(text_of(file));
  ASSERT_EQ(all.at("checkpoints").size(), 2u) << "adapter/ is step 4's";
  EXPECT_EQ(all["checkpoints"][0].at("step"), 2);
  EXPECT_EQ(all["checkpoints"][1].at("step"), 4);
  EXPECT_EQ(all["checkpoints"][1].at("path"), (trained() / "adapter").string());
  std::size_t best = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    if (all["checkpoints"][i]["loss_audio"] < all["checkpoints"][best]["loss_audio"]) best = i;
  }
  EXPECT_EQ(all.at("best").at("step"), all["checkpoints"][best]["step"]);
  EXPECT_EQ(all.at("loss_audio"), all["checkpoints"][best]["loss_audio"]);
  EXPECT_NEAR(all["best"]["ahead_of_next"].get<double>(),
              all["checkpoints"][1 - best]["loss_audio"].get<double>() - all["loss_audio"].get<double>(),
              1e-12);
  EXPECT_GT(all.at("base").at("loss_audio"), all["loss_audio"]);
  // Each is what it is by itself.
  const Json second =
      json_of(evaluate(manifest) +
              Arguments{"--adapter", trained() / "checkpoints/step-000002", "--base", "off", "--speak", "0"});
  EXPECT_EQ(second.at("loss_codebooks"), all["checkpoints"][0]["loss_codebooks"]);
  const std::string path = all["best"]["path"];
  EXPECT_NE(result.out.find("\nuse: " + path + "\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find(all["best"]["reason"].get<std::string>() + "\n"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("stop rate"), std::string::npos) << result.out;
}

// An adapter that is no checkpoint's has its own line; a damaged checkpoint has none.
TEST_F(EvaluateDemo, ARunMayHoldOtherAdaptersAndDamage) {
  fs::copy(trained(), scratch / "copy", fs::copy_options::recursive);
  fs::copy(scratch / "copy/checkpoints/step-000002/adapter_model.safetensors",
           scratch / "copy/adapter/adapter_model.safetensors", fs::copy_options::overwrite_existing);
  fs::remove(scratch / "copy/checkpoints/step-000002/optimizer.safetensors");
  const Json all = json_of(evaluate(held_out(1)) + Arguments{"--run", scratch / "copy", "--speak", "0"});
  ASSERT_EQ(all["checkpoints"].size(), 2u);
  EXPECT_EQ(all["checkpoints"][0].at("name"), "step 4");
  EXPECT_EQ(all["checkpoints"][1].at("name"), "adapter");
  EXPECT_TRUE(all["checkpoints"][1].at("step").is_null());
}

class BadEvaluate : public RefusalTest {
 protected:
  const Arguments evaluate =
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl")} + golden_base();
};

TEST_F(BadEvaluate, FlagsThatExcludeEachOther) {
  expect_refused(evaluate + Arguments{"--adapter", "a", "--run", "b"}, {"--adapter and --run"});
  expect_refused(evaluate + Arguments{"--base", "off"}, {"--base off", "--adapter or --run"});
}

TEST_F(BadEvaluate, ARunThatIsNone) {
  expect_refused(evaluate + Arguments{"--run", scratch / "none"}, {"--run", "none", "is no folder"});
  fs::create_directories(scratch / "empty");
  expect_refused(evaluate + Arguments{"--run", scratch / "empty"}, {"--run", "empty", "holds no checkpoint"});
}

TEST_F(BadEvaluate, AFolderForClipsThatIsAFile) {
  expect_refused(evaluate + Arguments{"--out_dir", write("file", "") / "wavs"},
                 {"--out_dir", "is not a folder"});
}

}  // namespace
}  // namespace higgs::test
