// `--replay_share`: a run that stays close to its base.
#include "train_process.h"

namespace higgs::test {
namespace {

class ReplayRuns : public TrainTest {
 protected:
  // Divergences of the steps that measured one.
  std::vector<double> divergences(const std::string& name) const {
    std::vector<double> all;
    for (const Json& line : metrics(name)) {
      if (line.contains("loss_replay")) all.push_back(line["loss_replay"]);
    }
    return all;
  }
};

// Trained on the digit speaker's other voice; what the base says there is measured on the validation clips.
TEST_F(ReplayRuns, StayCloserToTheBase) {
  const auto train = [&](const std::string& name, const std::string& weight) {
    return Arguments{"train",
                     "--train_manifest",
                     write("train.jsonl", first_lines(demo("voice/train.jsonl"), 8)),
                     "--replay_manifest",
                     write("other.jsonl", first_lines(demo("voice/val.jsonl"), 4)),
                     "--output_dir",
                     scratch / name,
                     "--replay_share",
                     "0.5",
                     "--replay_weight",
                     weight,
                     "--max_steps",
                     "12",
                     "--batch_size",
                     "4",
                     "--lr",
                     "3e-3",
                     "--val_split",
                     "0",
                     "--auditions",
                     "0"} +
           demo_base();
  };
  run(train("free", "0"));
  const ProcessResult result = run(train("held", "4"));
  EXPECT_NE(
      result.err.find("replay: 50 % of the samples, from " + (scratch / "other.jsonl").string() + " (4)"),
      std::string::npos)
      << result.err;
  const auto free = divergences("free"), held = divergences("held");
  ASSERT_EQ(free.size(), 12u);
  ASSERT_EQ(held.size(), 12u);
  EXPECT_EQ(free[0], 0.0);
  EXPECT_GT(free.back(), 0.05);
  EXPECT_LT(held.back(), 0.6 * free.back());
  EXPECT_LT(metrics("held").back()["loss"], metrics("held").front()["loss"]) << "and learns all the same";
}

TEST_F(ReplayRuns, OfTheTrainingSamplesWhereNoOthersAreGiven) {
  const ProcessResult result =
      run(command("run") + Arguments{"--replay_share", "0.2", "--batch_size", "4", "--max_steps", "3"});
  EXPECT_NE(result.err.find("replay: 20 % of the samples, from the training samples"), std::string::npos)
      << result.err;
  EXPECT_EQ(divergences("run").size(), 3u);
}

TEST_F(ReplayRuns, RanksTogetherDoWhatOneProcessDoes) {
  const auto train = [&](const std::string& name, const std::string& batch_size) {
    return command(name) + Arguments{"--replay_share", "0.3", "--batch_size", batch_size,
                                     "--max_steps",    "4",   "--lr",         "1e-3",
                                     "--lora_dropout", "0.1"};
  };
  run(train("one", "6"));
  for (const int ranks : {2, 3}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const ProcessResult result =
        run_process(Arguments{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np",
                              std::to_string(ranks), program()} +
                        train(name, std::to_string(6 / ranks)),
                    environment());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const auto one = metrics("one"), more = metrics(name);
    ASSERT_EQ(more.size(), one.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (const char* key : {"loss", "loss_replay", "grad_norm"}) {
        ASSERT_EQ(more[i].contains(key), one[i].contains(key));
        if (!one[i].contains(key)) continue;
        const double want = one[i][key];
        // A divergence is a small difference of rounded numbers.
        const double tolerance = key == std::string("loss_replay") ? 1e-6 : 1e-5 * want;
        EXPECT_NEAR(more[i][key].get<double>(), want, tolerance) << key << " of line " << i;
      }
    }
    EXPECT_EQ(more.back()["step"], one.back()["step"]);
  }
}

class ReplayMistakes : public RefusalTest {};

TEST_F(ReplayMistakes, AreRefused) {
  const fs::path manifest = write("m.jsonl", first_lines(golden("e2e/manifest.jsonl"), 2));
  const Arguments good = train(manifest) + golden_base();
  expect_refused(good + Arguments{"--replay_share", "0.6"}, {"--replay_share: must be between 0.0 and 0.5"});
  expect_refused(good + Arguments{"--replay_manifest", manifest},
                 {"--replay_manifest without --replay_share"});
  expect_refused(good + Arguments{"--replay_share", "0.1", "--replay_manifest", scratch / "none.jsonl"},
                 {"none.jsonl"});
}

}  // namespace
}  // namespace higgs::test
