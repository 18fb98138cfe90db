// metrics.jsonl: its fields are a contract, and a resumed run has each step once.
#include "higgs/report/run_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/process.h"

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
  const Json line = Json::parse(metrics_line(m));
  EXPECT_EQ(line["kind"], "eval");
  EXPECT_EQ(line["step"], 20);
  EXPECT_EQ(line["loss"], 4.5);
  EXPECT_EQ(line["loss_codebooks"].size(), 8u);
  EXPECT_EQ(line["accuracy_codebooks"], Json({0.5, 0.25}));
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

}  // namespace
}  // namespace higgs::test
