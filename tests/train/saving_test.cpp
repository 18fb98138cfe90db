// Checkpoints are written beside training: when, which are kept, and what happens when one can't be.
#include <gmock/gmock.h>

#include "higgs/base/error.h"
#include "higgs/train/checkpoint.h"
#include "support/process.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::TinyRun;
using ::testing::HasSubstr;

TEST(Saving, ErrorsComeOutAtTheNextStep) {
  const TemporaryFolder folder;
  test::write_text(folder / "checkpoints", "a file in the way");
  TinyRun run(folder / "checkpoints");
  run.options.save_steps = 1;
  run.make();
  std::string said;
  try {
    run.run();
  } catch (const RunError& error) {
    said = error.what();
  }
  EXPECT_THAT(said, HasSubstr("the checkpoint of step 1 could not be written: "));
  EXPECT_THAT(said, HasSubstr("the ones before it stay"));
  EXPECT_LE(run.trainer->step(), 3);
}

TEST(Saving, TheRunGoesOnWithoutIfAsked) {
  const TemporaryFolder folder;
  test::write_text(folder / "checkpoints", "a file in the way");
  TinyRun run(folder / "checkpoints");
  run.options.save_steps = 2;
  run.options.go_on_without_checkpoint = true;
  run.make();
  EXPECT_TRUE(run.trainer->run([&] {
    if (run.trainer->step() == 5) fs::remove(folder / "checkpoints");
    return false;
  }));
  ASSERT_EQ(run.recorder.checkpoints, (std::vector<fs::path>{folder / "checkpoints" / "step-000006"}));
  EXPECT_EQ(checkpoint_fault(run.recorder.checkpoints[0]), std::nullopt);
}

TEST(Saving, ThatTheLastOneFailedIsKnownAtTheEnd) {
  const TemporaryFolder folder;
  test::write_text(folder / "checkpoints", "a file in the way");
  TinyRun run(folder / "checkpoints");
  run.options.go_on_without_checkpoint = true;
  run.make();
  EXPECT_TRUE(run.run());
  EXPECT_FALSE(run.trainer->saved());
}

TEST(Saving, KeepsTheBestBesideTheLast) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.make();
  AdamW optimizer(run.adapter->values(), run.adapter->grads(), {});
  const std::vector<std::optional<double>> losses = {3.0, 2.0, 2.5, std::nullopt, 2.0, 4.0, std::nullopt};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    CheckpointState state;
    state.step = static_cast<std::int64_t>(i) + 1;
    state.validation_loss = losses[i];
    CheckpointImage(*run.adapter, optimizer, state).write(folder / "run" / checkpoint_name(state.step));
  }
  const auto left = [&] {
    std::vector<std::int64_t> steps;
    for (const CheckpointEntry& entry : list_checkpoints(folder / "run")) steps.push_back(entry.step);
    return steps;
  };
  remove_old_checkpoints(folder / "run", 7, 0, 1);
  EXPECT_EQ(left().size(), 7u) << "0 keeps all";
  remove_old_checkpoints(folder / "run", 1, 1, 0);
  EXPECT_EQ(left().size(), 7u) << "the one just written stays, and so do later ones";
  remove_old_checkpoints(folder / "run", 7, 2, 3);
  EXPECT_EQ(left(), (std::vector<std::int64_t>{7, 6, 5, 3, 2}));
  remove_old_checkpoints(folder / "run", 7, 1, 1);
  EXPECT_EQ(left(), (std::vector<std::int64_t>{7, 5})) << "of two as good the newer";
  EXPECT_EQ(test::snapshot(folder / "run").size(), 2u * 6u) << "and nothing half removed";
}

TEST(Saving, ABetterValidationIsSaved) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.options.max_steps = 12;
  run.options.val_steps = 1;
  run.options.keep_last = 1;
  run.options.keep_best = 1;
  run.lora.dropout = 0.0;
  run.adapter.emplace(run.model, run.lora);
  run.trainer.emplace(run.model, *run.adapter, run.data, &run.data, run.ids, run.options, run.recorder,
                      run.ranks);
  ASSERT_TRUE(run.run());
  double best = run.recorder.evals[0].loss.audio;
  std::vector<fs::path> expected;
  std::int64_t best_step = 0;
  for (const EvalMetrics& eval : run.recorder.evals) {
    const bool better = eval.step > 0 && eval.loss.audio < best;
    if (better) {
      best = eval.loss.audio;
      best_step = eval.step;
    }
    if (better || eval.step == 12) expected.push_back(folder / "run" / checkpoint_name(eval.step));
  }
  ASSERT_GT(expected.size(), 2u);
  EXPECT_EQ(run.recorder.checkpoints, expected);
  EXPECT_TRUE(fs::exists(folder / "run" / checkpoint_name(best_step)));
}

TEST(Saving, ByTheClock) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.options.save_minutes = 1e-9;
  run.options.keep_last = 0;
  run.make();
  ASSERT_TRUE(run.run());
  EXPECT_EQ(list_checkpoints(folder / "run").size(), 6u);
  TinyRun never(folder / "never");
  never.options.save_minutes = 0.0;
  never.make();
  ASSERT_TRUE(never.run());
  EXPECT_EQ(list_checkpoints(folder / "never").size(), 1u);
}

TEST(Saving, LaterStepsAreSetAside) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.options.save_steps = 2;
  run.options.keep_last = 0;
  run.make();
  ASSERT_TRUE(run.run());
  set_later_checkpoints_aside(folder / "run", 2);
  set_later_checkpoints_aside(folder / "run", 2);
  ASSERT_EQ(list_checkpoints(folder / "run").size(), 1u);
  EXPECT_EQ(training_checkpoint_fault(folder / "run/aside-step-000006"), std::nullopt) << "nothing is lost";
  EXPECT_TRUE(fs::exists(folder / "run/aside-step-000004"));
}

// Stopped between a step and its validation: the checkpoint gets its loss when the run goes on.
TEST(Saving, AValidationThatCameLateIsSaved) {
  const TemporaryFolder folder;
  const auto make = [&](TinyRun& run) {
    run.options.val_steps = 3;
    run.options.keep_best = 1;
    run.adapter.emplace(run.model, run.lora);
    run.trainer.emplace(run.model, *run.adapter, run.data, &run.data, run.ids, run.options, run.recorder,
                        run.ranks);
  };
  const auto loss_of = [&] {
    const fs::path file = folder / "run/step-000003/trainer_state.json";
    return state_from_json(test::text_of(file), file.string()).validation_loss;
  };
  TinyRun first(folder / "run"), second(folder / "run");
  make(first);
  ASSERT_FALSE(first.run(3));
  EXPECT_EQ(loss_of(), std::nullopt);
  make(second);
  second.trainer->resume(folder / "run/step-000003");
  ASSERT_FALSE(second.run(4));
  ASSERT_EQ(second.recorder.evals.size(), 1u);
  EXPECT_EQ(loss_of(), second.recorder.evals[0].loss.audio);
}

}  // namespace
}  // namespace higgs
