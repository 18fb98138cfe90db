// metrics.jsonl: its fields are a contract, and a resumed run has each step once; so in TensorBoard.
#include "higgs/report/run_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "events.h"
#include "support/process.h"
#include "support/terminal.h"

namespace higgs::test {
namespace {

using Json = nlohmann::ordered_json;

StepMetrics step_metrics(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  m.epoch = 0.5;
  m.loss.total = 4.5;
  m.loss.text = 1.5;
  m.loss.audio = 3.0;
  m.loss.codebooks = {1, 2, 3, 4, 2, 3, 4, 5};
  m.learning_rate = 2e-4;
  m.grad_norm = 0.25;
  m.tokens = 1000;
  m.tokens_per_second = 500.0;
  m.seconds = 2.0;
  m.memory_bytes = 1 << 30;
  m.loader_wait = 0.125;
  m.imbalance = 0.25;
  return m;
}

std::vector<Json> metrics_in(const fs::path& folder) {
  std::vector<Json> all;
  for (const std::string& line : lines_of(text_of(folder / "metrics.jsonl")))
    all.push_back(Json::parse(line));
  return all;
}

std::vector<int> steps_in(const fs::path& folder) {
  std::vector<int> steps;
  for (const Json& line : metrics_in(folder)) steps.push_back(line["step"]);
  return steps;
}

TEST(Metrics, TrainingLineHasTheAgreedFields) {
  EXPECT_EQ(
      metrics_line(step_metrics(7)),
      R"({"kind":"train","step":7,"epoch":0.5,"loss":4.5,"loss_text":1.5,"loss_audio":3.0,)"
      R"("loss_codebooks":[1.0,2.0,3.0,4.0,2.0,3.0,4.0,5.0],"learning_rate":0.0002,"grad_norm":0.25,"skipped":"",)"
      R"("tokens":1000,"tokens_per_second":500.0,"seconds":2.0,"memory_bytes":1073741824,)"
      R"("loader_wait":0.125,"imbalance":0.25})");
}

TEST(Metrics, EvaluationLineHasTheAgreedFields) {
  EvalMetrics m;
  m.step = 20;
  m.loss = step_metrics(0).loss;
  m.accuracy = {0.5, 0.25};
  m.top10 = {0.75, 1.0};
  const Json line = Json::parse(metrics_line(m));
  EXPECT_EQ(line["kind"], "eval");
  EXPECT_EQ(line["step"], 20);
  EXPECT_EQ(line["loss"], 4.5);
  EXPECT_EQ(line["loss_codebooks"].size(), 8u);
  EXPECT_EQ(line["accuracy_codebooks"], Json({0.5, 0.25}));
  EXPECT_EQ(line["accuracy_top10_codebooks"], Json({0.75, 1.0}));
}

TEST(RunLog, ANewRunBeginsAnEmptyFile) {
  const TemporaryFolder folder;
  write_text(folder / "metrics.jsonl", "{\"kind\":\"train\",\"step\":1}\n");
  RunLog log(folder.path(), 10);
  log.on_start({0, 2, 0.0, true});
  log.on_step(step_metrics(1), 2);
  EXPECT_EQ(steps_in(folder.path()), (std::vector<int>{1}));
}

TEST(RunLog, EachLineIsThereAsSoonAsTheStepIsDone) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), 10);
  log.on_start({0, 3, 0.0, true});
  for (int step = 1; step <= 3; ++step) {
    log.on_step(step_metrics(step), 3);
    EXPECT_EQ(metrics_in(folder.path()).size(), static_cast<std::size_t>(step));
  }
}

TEST(RunLog, ContinuingTakesOutLaterStepsAndALineCutShort) {
  const TemporaryFolder folder;
  {
    RunLog log(folder.path(), 10);
    log.on_start({0, 9, 0.0, true});
    for (int step = 1; step <= 5; ++step) log.on_step(step_metrics(step), 9);
  }
  // As when the machine went down in the middle of a line.
  write_text(folder / "metrics.jsonl", text_of(folder / "metrics.jsonl") + "{\"kind\":\"train\",\"st");
  RunLog log(folder.path(), 10);
  log.on_start({3, 9, 0.0, true});
  log.on_step(step_metrics(4), 9);
  EXPECT_EQ(steps_in(folder.path()), (std::vector<int>{1, 2, 3, 4}));
}

TEST(RunLog, WritesTheReport) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), 10);
  log.on_start({0, 2, 0.0, true});
  log.on_step(step_metrics(1), 2);
  log.on_step(step_metrics(2), 2);
  log.write_report();
  EXPECT_NE(text_of(folder / "report.html").find("<polyline"), std::string::npos);
}

TEST(RunLog, ThatItsOwnFileIsGoneIsNoMistakeOfTheUser) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), 10);
  log.on_start({0, 2, 0.0, true});
  fs::remove(folder / "metrics.jsonl");
  EXPECT_NE(run_error([&] { log.write_report(); }).find("metrics.jsonl"), std::string::npos);
}

// The validation of the step that a run goes on from comes again, unless it was done before the checkpoint.
TEST(RunLog, AValidationStandsThereOnce) {
  for (const bool evaluated : {false, true}) {
    const TemporaryFolder folder;
    write_text(
        folder / "metrics.jsonl",
        "{\"kind\":\"train\",\"step\":3}\n{\"kind\":\"eval\",\"step\":3}\n{\"kind\":\"train\",\"step\":4}\n");
    RunLog log(folder.path(), 100);
    log.on_start({3, 9, 0.0, evaluated});
    EXPECT_EQ(lines_of(text_of(folder / "metrics.jsonl")).size(), evaluated ? 2u : 1u);
  }
}

EvalMetrics eval_metrics(std::int64_t step, double loss) {
  EvalMetrics m;
  m.step = step;
  m.loss = step_metrics(0).loss;
  m.loss.total = loss;
  m.accuracy = {0.5, 0.25};
  m.top10 = {0.75, 1.0};
  return m;
}

using Point = std::pair<int, double>;
std::vector<Point> points(const nlohmann::json& events, const std::string& tag) {
  std::vector<Point> all;
  for (const auto& point : events.at("points").at(tag)) all.emplace_back(point[0], point[1]);
  return all;
}

// A step without samples of replay has no such number.
TEST(RunLog, ReplayIsANumberOfItsOwn) {
  const TemporaryFolder folder;
  {
    RunLog log(folder.path(), 10);
    log.on_start({0, 2, 0.0, true});
    log.on_step(step_metrics(1), 2);
    StepMetrics with = step_metrics(2);
    with.replay = 0.5;
    log.on_step(with, 2);
  }
  EXPECT_FALSE(metrics_in(folder.path())[0].contains("loss_replay"));
  EXPECT_EQ(metrics_in(folder.path())[1]["loss_replay"], 0.5);
  EXPECT_EQ(metrics_in(folder.path())[1]["loss"], 4.5);
  const auto events = read_events(folder / "tensorboard");
  EXPECT_EQ(points(events, "train/loss_replay"), (std::vector<Point>{{2, 0.5}}));
}

TEST(RunLog, EveryNumberOfAStepIsAPoint) {
  const TemporaryFolder folder;
  {
    RunLog log(folder.path(), 10);
    log.on_start({0, 2, 0.0, true});
    log.on_step(step_metrics(1), 2);
    log.on_eval(eval_metrics(1, 4.25));
  }
  const auto events = read_events(folder / "tensorboard");
  const std::map<std::string, double> expected = {
      {"train/loss", 4.5},
      {"train/loss_text", 1.5},
      {"train/loss_audio", 3.0},
      {"train/learning_rate", static_cast<double>(2e-4f)},
      {"train/grad_norm", 0.25},
      {"train/tokens_per_second", 500.0},
      {"train/memory_gb", static_cast<double>(static_cast<float>((1 << 30) / 1e9))},
      {"train/codebook/0", 1.0},
      {"train/codebook/1", 2.0},
      {"train/codebook/2", 3.0},
      {"train/codebook/3", 4.0},
      {"train/codebook/4", 2.0},
      {"train/codebook/5", 3.0},
      {"train/codebook/6", 4.0},
      {"train/codebook/7", 5.0},
      {"eval/loss", 4.25},
      {"eval/loss_text", 1.5},
      {"eval/loss_audio", 3.0},
      {"eval/accuracy/0", 0.5},
      {"eval/accuracy/1", 0.25},
      {"eval/top10/0", 0.75},
      {"eval/top10/1", 1.0},
      {"eval/codebook/0", 1.0},
      {"eval/codebook/1", 2.0},
      {"eval/codebook/2", 3.0},
      {"eval/codebook/3", 4.0},
      {"eval/codebook/4", 2.0},
      {"eval/codebook/5", 3.0},
      {"eval/codebook/6", 4.0},
      {"eval/codebook/7", 5.0},
  };
  EXPECT_EQ(events["points"].size(), expected.size()) << events["points"];
  for (const auto& [tag, value] : expected)
    EXPECT_EQ(points(events, tag), (std::vector<Point>{{1, value}})) << tag;
}

TEST(RunLog, PointsAreThereAsSoonAsTheStepIsDone) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), 10);
  log.on_start({0, 3, 0.0, true});
  for (int step = 1; step <= 3; ++step) {
    log.on_step(step_metrics(step), 3);
    EXPECT_EQ(points(read_events(folder / "tensorboard"), "train/loss").size(),
              static_cast<std::size_t>(step));
  }
}

// Step 3 was saved and validated, step 4 done and lost. Where the checkpoint doesn't know of the validation
// it comes again.
TEST(RunLog, APointStandsThereOnce) {
  for (const bool evaluated : {false, true}) {
    const TemporaryFolder folder;
    {
      RunLog log(folder.path(), 100);
      log.on_start({0, 9, 0.0, true});
      for (int step = 1; step <= 4; ++step) {
        log.on_step(step_metrics(step), 9);
        if (step == 3) log.on_eval(eval_metrics(3, 1.0));
      }
    }
    {
      RunLog log(folder.path(), 100);
      log.on_start({3, 9, 0.0, evaluated});
      if (!evaluated) log.on_eval(eval_metrics(3, 2.0));
      StepMetrics fourth = step_metrics(4);
      fourth.loss.total = 40.0;
      log.on_step(fourth, 9);
    }
    const auto events = read_events(folder / "tensorboard");
    EXPECT_EQ(events["files"].size(), 2u);
    EXPECT_EQ(points(events, "train/loss"), (std::vector<Point>{{1, 4.5}, {2, 4.5}, {3, 4.5}, {4, 40.0}}));
    EXPECT_EQ(points(events, "eval/loss"), (std::vector<Point>{{3, evaluated ? 1.0 : 2.0}}));
  }
}

TEST(RunLog, NoTensorBoardIsWarnedOfOnceAndEndsNothing) {
  const TemporaryFolder folder;
  write_text(folder / "tensorboard", "a file in the folder's place");
  RunLog log(folder.path(), 1000);
  log.on_start({0, 9, 0.0, true});
  ::testing::internal::CaptureStderr();
  for (int step = 2; step <= 5; ++step) log.on_step(step_metrics(step), 9);
  const auto lines = lines_of(::testing::internal::GetCapturedStderr());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("warning TensorBoard's charts lack points"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find(folder.path().string()), std::string::npos) << lines[0];
  EXPECT_EQ(steps_in(folder.path()).size(), 4u);
}

TEST(RunLog, AtATerminalStepsAreOneLineAndTheLastStays) {
  const TemporaryFolder folder;
  const auto train = [&](int columns, int last) {
    return in_terminal(columns, [&] {
      RunLog log(folder.path(), 1);
      log.on_start({0, 400, 0.0, true});
      for (int step = 1; step <= last; ++step) {
        StepMetrics m = step_metrics(step);
        m.seconds = 0.5 * step;
        m.tokens_per_second = 4123;
        log.on_step(m, 400);
        if (step == 2) log.on_eval(eval_metrics(step, 4.25));
        if (step < last) ::usleep(120'000);
      }
      ::_exit(0);  // as it looks at that moment
      return 0;
    });
  };
  const TerminalResult result = train(160, 3);
  const auto all = rows(result, 160);
  ASSERT_EQ(all.size(), 3u) << result.bytes;
  EXPECT_NE(all[1].find("validation at step 2"), std::string::npos) << all[1];
  EXPECT_EQ(all[2], "step 3/400  epoch 0.5  loss 4.50 (text 1.50 audio 3.00)  4.1k tok/s  ETA 3:19  1.1 GB");
  EXPECT_EQ(rows(train(80, 1), 80).back(),
            "step 1/400  epoch 0.5  text 1.50 audio 3.00  4.1k tok/s  ETA 3:20  1.1 GB");
}

TEST(RunLog, TheLastStepIsSaidInFull) {
  const TemporaryFolder folder;
  const TerminalResult result = in_terminal(400, [&] {
    RunLog log(folder.path(), 1);
    log.on_start({0, 2, 0.0, true});
    for (int step = 1; step <= 2; ++step) log.on_step(step_metrics(step), 2);
    return 0;
  });
  const auto all = rows(result, 400);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_NE(all[1].find("info step 2/2 epoch 0.50 loss 4.5000 text 1.5000 audio 3.0000 [1.00 "),
            std::string::npos)
      << all[1];
  EXPECT_EQ(all[2], "") << "the live line is gone";
}

}  // namespace
}  // namespace higgs::test
