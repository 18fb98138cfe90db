// `check` as a user runs it: its summary, JSON object and exit codes, and that it agrees with training.
#include "check_case.h"
#include "higgs/formats/safetensors.h"
#include "support/terminal.h"

namespace higgs::test {
namespace {

class Check : public CheckTest {
 protected:
  fs::path golden_lines(std::size_t count) const {
    return write("golden.jsonl", first_lines(golden("e2e/manifest.jsonl"), count));
  }

  Json json(const Arguments& arguments, int exit_code) const {
    const ProcessResult result = higgs(arguments + Arguments{"--json"});
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return Json::parse(result.out);
  }
};

TEST_F(Check, PrepareNamesTheCommandAsItRuns) {
  fs::create_directories(scratch / "rec");
  for (int i = 0; i < 6; ++i) {
    wav("rec/" + std::to_string(i) + ".wav", tone(300 + 40 * i));
    write("rec/" + std::to_string(i) + ".txt",
          "This is the text of recording " + std::to_string(i) + ", read aloud.");
  }
  const ProcessResult prepared = run({"prepare", scratch / "rec", "--out", scratch / "out"});
  const std::string next = "next: higgs_train check ";
  const auto begin = prepared.err.find(next);
  ASSERT_NE(begin, std::string::npos) << prepared.err;
  const auto path = begin + next.size();
  const ProcessResult result =
      run({"check", prepared.err.substr(path, prepared.err.find('\n', path) - path)});
  EXPECT_NE(result.out.find("5 samples, 5 clips, 0:16 of sound to be learnt, 1 speaker\n"), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("\n0 errors, 0 warnings\n"), std::string::npos) << result.out;
}

TEST_F(Check, DrawsPlainBarsWhereStdoutIsNoTerminal) {
  std::string lines;
  for (int i = 0; i < 4; ++i) {
    Sound sound = tone(300 + 40 * i);
    sound.seconds = i == 3 ? 6.0 : 3.0;
    const std::string text = std::string(i == 3 ? 60 : 30, 'a') + static_cast<char>('b' + i);
    lines += spoken(text, wav(std::to_string(i) + ".wav", sound));
  }
  const ProcessResult result = run({"check", write("m.jsonl", lines)});
  EXPECT_NE(result.out.find("seconds of a clip to be learnt\n"
                            "         3 - 5        3 ########################################\n"
                            "        5 - 10        1 #############\n"
                            "characters a second, Latin (median 10.3)\n"
                            "        9 - 12        4 ########################################\n"),
            std::string::npos)
      << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(Check, DrawsBlocksOnATerminalThatShowsThem) {
  const fs::path path = manifest("");
  Environment surroundings = environment();
  for (const auto& [locale, bar] : {std::pair("en_GB.UTF-8", "█████"), std::pair("C", "#####")}) {
    surroundings["LC_ALL"] = locale;
    const TerminalResult result = in_terminal(100, {program(), "check", path}, surroundings);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.bytes.find(bar), std::string::npos) << result.bytes;
  }
}

TEST_F(Check, JsonHoldsProblemsCountsAndHistograms) {
  const fs::path path = manifest(spoken("One.", "no.wav") + spoken("Yes.", wav("a.wav", {})));
  const Json out = json({"check", path}, 2);
  EXPECT_EQ(out["manifest"], path.string());
  EXPECT_EQ(out["samples"], 3);
  EXPECT_EQ(out["clips"], 2);
  EXPECT_EQ(out["errors"], 1);
  EXPECT_EQ(out["errors_by_kind"], Json({{"clip", 1}}));
  EXPECT_EQ(out["warnings_by_kind"], Json({{"speech_rate", 1}}));
  ASSERT_EQ(out["problems"].size(), 2u);
  EXPECT_EQ(out["problems"][0]["file"], path.string());
  EXPECT_EQ(out["problems"][0]["line"], 1);
  EXPECT_EQ(out["problems"][0]["kind"], "clip");
  EXPECT_EQ(out["problems"][0]["grade"], "error");
  EXPECT_EQ(out["problems"][0]["message"], (scratch / "no.wav").string() + ": no such clip");
  EXPECT_EQ(out["seconds_histogram"]["counts"].size(), out["seconds_histogram"]["edges"].size() + 1);
  EXPECT_EQ(out["characters_per_second"]["Latin"]["counts"][0], 1);
  EXPECT_FALSE(out.contains("supervised_fraction"));
}

TEST_F(Check, ManyOfAKindAreCounted) {
  std::string lines;
  for (int i = 0; i < 25; ++i)
    lines += spoken("Number " + std::to_string(i), "no" + std::to_string(i) + ".wav");
  const fs::path path = manifest(lines);
  const ProcessResult result = higgs({"check", path});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.out.find("no19.wav"), std::string::npos);
  EXPECT_EQ(result.out.find("no20.wav"), std::string::npos);
  EXPECT_NE(result.out.find(path.string() + ": clip: 5 more like the 20 above\n"), std::string::npos);
  EXPECT_NE(result.out.find("25 errors (25 clip), 0 warnings\n"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find(path.string() + ": 25 errors, with which training would fail"),
            std::string::npos);
  EXPECT_EQ(json({"check", path}, 2)["problems"].size(), 25u);
}

// What inspect and train make of the same lines.
TEST_F(Check, CountsTokensAsTrainingDoes) {
  const fs::path path = golden_lines(5);
  const Json out = json(Arguments{"check", path, "--max_tokens", "85"} + golden_base(), 2);
  std::vector<std::string> too_long;
  for (const Json& problem : out["problems"]) {
    if (problem["kind"] == "too_many_tokens") too_long.push_back(problem["message"]);
  }
  ASSERT_FALSE(too_long.empty());
  EXPECT_EQ(too_long[0],
            "104 tokens, more than --max_tokens 85, and samples are never cut; shorten the sample, or train "
            "with --on_too_long skip");
  const ProcessResult trained =
      run(train(path) + golden_base() + Arguments{"--max_tokens", "85", "--on_too_long", "skip"});
  std::size_t skipped = 0;
  for (const std::string& said : lines_of(trained.err))
    skipped += said.find("--max_tokens 85; skipped") != std::string::npos;
  EXPECT_EQ(too_long.size(), skipped) << trained.err;
}

TEST_F(Check, TheSupervisedShareIsThatOfTheLabels) {
  const fs::path path = golden_lines(5);
  const Json out = json(Arguments{"check", path} + golden_base(), 0);
  run(Arguments{"inspect", "forward", "--manifest", path, "--batch_size", "0", "--out",
                scratch / "f.safetensors"} +
      golden_base());
  const SafetensorsFile file(scratch / "f.safetensors");
  const auto is_label = [](std::int64_t label) { return label != -100; };
  const auto text = file.integers("text_labels"), audio = file.integers("audio_labels");
  auto supervised = std::count_if(text.begin(), text.end(), is_label);
  for (auto row = audio.begin(); row != audio.end(); row += 8)
    supervised += std::any_of(row, row + 8, is_label);
  EXPECT_EQ(out["tokens"], text.size());
  EXPECT_NEAR(out["supervised_fraction"].get<double>() * static_cast<double>(text.size()),
              static_cast<double>(supervised), 1e-6);
}

TEST_F(Check, AMissingCodecIsAnErrorOfTheManifest) {
  const fs::path path = manifest("");
  fs::create_directory(scratch / "alone");
  fs::copy(golden("hf/model"), scratch / "alone/base", fs::copy_options::recursive);
  const ProcessResult result = higgs({"check", path, "--base_ckpt", scratch / "alone/base"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.out.find(path.string() + ": error: no audio tokenizer found for "), std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("; lengths are estimated\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find(" tokens are supervised\n"), std::string::npos) << result.out;
}

TEST_F(Check, TheOrderOfLinesDoesNotDependOnThreads) {
  std::string lines;
  for (int i = 0; i < 30; ++i) {
    lines +=
        spoken("One.", i % 3 == 0 ? wav("c" + std::to_string(i) + ".wav", tone(300 + 20 * i)) : "no.wav");
  }
  const fs::path path = manifest(lines);
  const std::string one = higgs({"check", path, "--num_workers", "1"}).out;
  EXPECT_EQ(higgs({"check", path, "--num_workers", "8"}).out, one);
}

TEST_F(Check, FlagsMayComeFromAFile) {
  const fs::path config = write("c.toml", "max_tokens = 50\njson = true\n");
  const ProcessResult result = higgs({"check", manifest(""), "--config", config});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(Json::parse(result.out)["errors_by_kind"]["too_long"], 1);
}

TEST_F(Check, RefusesWhatIsNoManifest) {
  expect_refused({"check"}, {"MANIFEST is missing: JSONL ChatML, as prepare writes it"});
  expect_refused({"check", scratch.path()}, {scratch.path(), "is a folder, a file is expected"});
  expect_refused({"check", scratch / "no.jsonl"}, {"no.jsonl", "cannot be opened"});
  expect_refused({"check", write("empty.jsonl", "\n")}, {"empty.jsonl", "holds no sample"});
  expect_refused({"check", manifest(""), "--base_ckpt", scratch / "no"}, {"no"});
  expect_refused({"check", manifest(""), "--max_token", "5"}, {"--max_token", "did you mean --max_tokens?"});
}

}  // namespace
}  // namespace higgs::test
