// `--balance`: which samples a run draws, told from the tokens of its steps.
#include "train_process.h"

namespace higgs::test {
namespace {

class Balance : public TrainTest {
 protected:
  // A manifest of ten lines: nine times one sample of speaker `big`, once another of `small`.
  fs::path nine_to_one() const {
    const auto lines = lines_of(first_lines(golden("e2e/manifest.jsonl"), 2));
    std::string text;
    for (int i = 0; i < 10; ++i) {
      Json line = Json::parse(lines[i == 4 ? 1 : 0]);
      line["speaker"] = i == 4 ? "small" : "big";
      line["language"] = i % 2 == 0 ? Json("Deutsch") : Json();
      text += line.dump() + "\n";
    }
    return write("nine_to_one.jsonl", text);
  }
  Arguments train(const std::string& name) const {
    return Arguments{"train",
                     "--train_manifest",
                     nine_to_one(),
                     "--output_dir",
                     scratch / name,
                     "--epochs",
                     "2",
                     "--val_split",
                     "0",
                     "--batch_size",
                     "1",
                     "--warmup",
                     "0",
                     "--lr_schedule",
                     "constant",
                     "--auditions",
                     "0"} +
           golden_base();
  }
  // Tokens of each step: which of the two samples it was.
  std::vector<int> drawn(const std::string& name) const {
    std::vector<int> each;
    int before = 0;
    for (const Json& line : metrics(name)) {
      if (line["kind"] != "train") continue;
      each.push_back(line["tokens"].get<int>() - before);
      before = line["tokens"];
    }
    return each;
  }
  // How often the rarer sample is among them.
  static std::ptrdiff_t times_of_rarer(const std::vector<int>& each) {
    const auto first = std::ranges::count(each, each.front());
    return std::min(first, std::ssize(each) - first);
  }
  const Arguments by_speaker = {"--balance", "speaker"};
};

TEST_F(Balance, SpeakersAreDrawnEquallyOften) {
  run(train("plain"));
  ASSERT_EQ(drawn("plain").size(), 20u);
  EXPECT_EQ(times_of_rarer(drawn("plain")), 2);
  const ProcessResult result = run(train("balanced") + by_speaker);
  ASSERT_EQ(drawn("balanced").size(), 20u) << "an epoch has as many draws as samples";
  EXPECT_EQ(times_of_rarer(drawn("balanced")), 10);
  EXPECT_NE(result.err.find("balance: each speaker is drawn 50 % of the time (2 of them); samples, and how "
                            "often an epoch draws each of them: big 9 (0.56), small 1 (5)"),
            std::string::npos)
      << result.err;
}

TEST_F(Balance, LanguagesAreDrawnEquallyOftenAndThoseWithoutOneCount) {
  const ProcessResult result = run(train("run") + Arguments{"--balance", "language", "--max_steps", "1"});
  EXPECT_NE(result.err.find("Deutsch 5 (1)"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("balance: 5 samples name no language and count as one more"), std::string::npos)
      << result.err;
}

// In the middle of an epoch.
TEST_F(Balance, ResumesWhereItStood) {
  run(train("whole") + by_speaker);
  run(train("parts") + by_speaker + Arguments{"--max_steps", "7"});
  run(train("parts") + by_speaker + Arguments{"--max_steps", "20"});
  EXPECT_EQ(drawn("parts"), drawn("whole"));
  EXPECT_EQ(adapter("parts"), adapter("whole"));
  const ProcessResult other = higgs(train("parts") + Arguments{"--max_steps", "21"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("is of another run"), std::string::npos) << other.err;
}

TEST_F(Balance, RanksDrawWhatOneProcessDraws) {
  const auto with = [&](const std::string& name, const std::string& batch_size) {
    return train(name) + by_speaker + Arguments{"--max_steps", "4", "--batch_size", batch_size};
  };
  run(with("one", "4"));
  const ProcessResult result = run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe",
                                                     "--bind-to", "none", "-np", "2", program()} +
                                               with("two", "2"),
                                           environment());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(drawn("two"), drawn("one"));
  const auto one = metrics("one"), two = metrics("two");
  ASSERT_EQ(one.size(), two.size());
  for (std::size_t i = 0; i < one.size(); ++i)
    EXPECT_NEAR(two[i]["loss"].get<double>(), one[i]["loss"].get<double>(), 1e-5);
}

class BalanceMistakes : public RefusalTest {};

TEST_F(BalanceMistakes, NoSampleNamesASpeaker) {
  const fs::path manifest = write("m.jsonl", spoken("one", golden("e2e/codes/c0.safetensors")));
  expect_refused(train(manifest) + golden_base() + Arguments{"--balance", "speaker"},
                 {"--balance speaker: no sample of " + manifest.string() + " names its speaker"});
  expect_refused(train(manifest) + golden_base() + Arguments{"--balance", "voice"},
                 {"--balance: 'voice' is not one of none, speaker, language"});
}

}  // namespace
}  // namespace higgs::test
