// What keeps a run from harm by its own numbers: steps that are left out, and the leak alarm.
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <cmath>

#include "higgs/base/error.h"
#include "higgs/data/leaks.h"
#include "higgs/data/manifest_lines.h"
#include "support/process.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::golden;
using test::run_error;
using test::TemporaryFolder;
using test::TinyRun;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

int judged(UpdateGuard& guard, double norm, double loss = 1.0) {
  const at::Tensor losses = at::tensor({2.0, loss}, at::kDouble);
  return static_cast<int>(guard.judge(losses, at::tensor(norm, at::kDouble)).item<double>());
}

TEST(UpdateGuard, LeavesOutWhatIsNotFinite) {
  UpdateGuard guard(0.0, at::kCPU);
  EXPECT_EQ(judged(guard, 1.0), 0);
  EXPECT_EQ(judged(guard, kNan), 1);
  EXPECT_EQ(judged(guard, kInf), 1);
  EXPECT_EQ(judged(guard, 1.0, kNan), 1);
  EXPECT_EQ(judged(guard, 1.0, -kInf), 1);
  EXPECT_EQ(judged(guard, 1e30), 0) << "no spike guard was asked for";
}

TEST(UpdateGuard, CallsASpikeAgainstTheMeanOfTwentyAndMore) {
  UpdateGuard guard(5.0, at::kCPU);
  EXPECT_EQ(judged(guard, 100.0), 0) << "nothing to compare with yet";
  for (int i = 1; i < 20; ++i) EXPECT_EQ(judged(guard, 1.0), 0);
  EXPECT_NEAR(guard.mean(), (100.0 + 19.0) / 20.0, 1e-9);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(judged(guard, 1.0), 0);
  EXPECT_NEAR(guard.mean(), 1.0, 0.02);
  EXPECT_EQ(judged(guard, 4.9), 0);
  EXPECT_EQ(judged(guard, 6.0), 2);
  EXPECT_EQ(judged(guard, kNan), 1) << "not a number is no spike";
  EXPECT_TRUE(std::isfinite(guard.mean()));
}

TEST(UpdateGuard, LetsNormsThroughThatStayHigh) {
  UpdateGuard guard(5.0, at::kCPU);
  for (int i = 0; i < 100; ++i) judged(guard, 1.0);
  int skipped = 0;
  while (judged(guard, 20.0) != 0 && skipped < 1000) ++skipped;
  EXPECT_GT(skipped, 3);
  EXPECT_LT(skipped, 40);
}

TEST(UpdateGuard, GoesOnWhereItStood) {
  UpdateGuard one(5.0, at::kCPU), two(5.0, at::kCPU);
  for (int i = 0; i < 30; ++i) judged(one, 1.0 + 0.1 * i);
  two.set(one.mean(), one.count());
  EXPECT_EQ(judged(one, 3.3), judged(two, 3.3));
  EXPECT_EQ(one.mean(), two.mean());
  EXPECT_EQ(two.count(), 31);
}

// Poisons one value of the adapter for one step, as a batch that overflows would.
struct Poison {
  TinyRun& run;
  std::int64_t after_step;
  float before = 0.0f;
  bool operator()() {
    float& value = run.adapter->values().mutable_data_ptr<float>()[7];
    if (run.trainer->step() == after_step) {
      before = value;
      value = std::numeric_limits<float>::quiet_NaN();
    } else if (run.trainer->step() == after_step + 1) {
      EXPECT_TRUE(std::isnan(value)) << "the step moved it";
      value = before;
      left_out = run.adapter->values().clone();
    }
    return false;
  }
  at::Tensor left_out = {};
};

TEST(NotFinite, NothingMovesInThatStep) {
  const TemporaryFolder folder;
  TinyRun poisoned(folder / "a"), whole(folder / "b");
  whole.options.max_steps = poisoned.options.max_steps = 4;
  whole.options.learning_rate = poisoned.options.learning_rate = 1e-2;
  poisoned.make();
  Poison poison{poisoned, 2};
  ASSERT_TRUE(poisoned.trainer->run([&] { return poison(); }));
  whole.make();
  ASSERT_FALSE(whole.run(2));
  EXPECT_TRUE(poison.left_out.equal(whole.adapter->values())) << "step 3 left the adapter of step 2";
  const auto& steps = poisoned.recorder.steps;
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[1].verdict, Verdict::kTaken);
  EXPECT_EQ(steps[2].verdict, Verdict::kNotFinite);
  EXPECT_EQ(steps[3].verdict, Verdict::kTaken);
  EXPECT_TRUE(std::isfinite(steps[3].loss.total));
  EXPECT_FALSE(std::isfinite(steps[2].grad_norm));
  // The samples of the step, as the manifest names them.
  ASSERT_EQ(poisoned.recorder.left_out.size(), 1u);
  ASSERT_EQ(poisoned.recorder.left_out[0].size(), 2u);
  EXPECT_THAT(poisoned.recorder.left_out[0][0], HasSubstr("manifest.jsonl:"));
  AdamW optimizer(poisoned.adapter->values(), poisoned.adapter->grads(), {});
  read_checkpoint(folder / "a" / "step-000004", *poisoned.adapter, optimizer);
  EXPECT_EQ(optimizer.num_steps(), 3);
}

TEST(NotFinite, StopsWhenAskedAndIsSaved) {
  const TemporaryFolder folder;
  TinyRun run(folder / "a");
  run.options.stop_when_not_finite = true;
  run.make();
  Poison poison{run, 2};
  const std::string said = run_error([&] { run.trainer->run([&] { return poison(); }); });
  EXPECT_THAT(said, HasSubstr("step 3: loss or gradient is not finite (loss "));
  // Known a step later: the one after it is saved, and was told.
  ASSERT_EQ(run.recorder.checkpoints, (std::vector<fs::path>{folder / "a" / "step-000004"}));
  EXPECT_EQ(run.recorder.steps.back().step, 4);
  TinyRun again(folder / "a");
  again.make().resume(folder / "a" / "step-000004");
  EXPECT_TRUE(again.run());
  EXPECT_EQ(again.recorder.steps.front().step, 5);
}

TEST(NotFinite, TenInARowEndTheRun) {
  const TemporaryFolder folder;
  TinyRun run(folder / "a");
  run.options.max_steps = 40;
  run.options.self_test = false;
  run.make();
  run.adapter->values().fill_(std::numeric_limits<float>::quiet_NaN());
  const std::string said = run_error([&] { run.run(); });
  EXPECT_THAT(said, HasSubstr("step 10: loss or gradient was not finite in 10 steps in a row"));
  EXPECT_EQ(run.recorder.left_out.size(), 11u) << "the last is known when the next was taken";
}

TEST(SpikeGuard, LeavesTheStepOut) {
  const TemporaryFolder folder;
  TinyRun run(folder / "a");
  run.options.max_steps = 30;
  run.options.spike_guard = 1e-6;  // any norm is a spike, from the twentieth on
  run.make();
  ASSERT_TRUE(run.run());
  for (const StepMetrics& step : run.recorder.steps) {
    EXPECT_EQ(step.verdict, step.step <= 20 ? Verdict::kTaken : Verdict::kSpike) << step.step;
  }
}

class Leak : public ::testing::Test {
 protected:
  Leak() : run(folder / "run") {}
  // A data set of these chats.
  void load(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    test::write_text(folder / "m.jsonl", text);
    run.load(folder / "m.jsonl");
  }
  static std::string chat(const std::string& heard, const std::string& said) {
    const auto clip = [](const std::string& name) {
      return R"({"type": "audio", "audio_url": ")" +
             (golden("e2e/codes") / (name + ".safetensors")).string() + "\"}";
    };
    return R"({"messages": [{"role": "user", "content": ["as here: ", )" + clip(heard) +
           R"(]}, {"role": "assistant", "content": )" + clip(said) + "}]}";
  }
  static LossValues loss(double each) {
    LossValues values;
    values.codebooks.assign(8, each);
    return values;
  }
  TemporaryFolder folder;
  TinyRun run;
};

TEST_F(Leak, ReplyInThePromptIsFound) {
  load({chat("c0", "c1"), chat("c2", "c2")});
  EXPECT_EQ(find_copied_reply(run.data, run.ids), std::optional<std::size_t>(1));
  load({chat("c0", "c1"), chat("c1", "c2")});
  EXPECT_EQ(find_copied_reply(run.data, run.ids), std::nullopt);
}

TEST_F(Leak, RepliesOnBothSidesAreCounted) {
  load({chat("c0", "c1"), chat("c2", "c3"), chat("c4", "c5")});
  const Dataset training = std::move(run.data);
  load({chat("c7", "c3"), chat("c1", "c8"), chat("c0", "c5")});
  EXPECT_EQ(count_shared_replies(run.data, training), 2u);
  EXPECT_EQ(LeakAlarm(1.0, training, &run.data, run.ids).num_shared(), 2u);
}

TEST_F(Leak, AlarmGoesOffOnTenImplausibleSteps) {
  load({chat("c0", "c1"), chat("c2", "c2")});
  LeakAlarm alarm(0.5, run.data, nullptr, run.ids);
  for (int i = 1; i <= 9; ++i) EXPECT_EQ(alarm.on_new_samples(i, loss(0.1)), std::nullopt);
  const std::string said = alarm.on_new_samples(10, loss(0.1)).value_or("");
  EXPECT_THAT(said, HasSubstr("step 10: the audio loss over the last 10 steps"));
  EXPECT_THAT(said, HasSubstr("is 0.100 nats a code"));
  EXPECT_THAT(said, HasSubstr("m.jsonl:2: the prompt holds the reply's own clip"));
}

TEST_F(Leak, AlarmKeepsQuietWhereAllIsWell) {
  load({chat("c0", "c1")});
  LeakAlarm alarm(0.5, run.data, nullptr, run.ids), off(0.0, run.data, nullptr, run.ids);
  for (int i = 1; i <= 50; ++i) {
    EXPECT_EQ(alarm.on_new_samples(i, loss(i % 10 == 0 ? 6.0 : 0.1)), std::nullopt) << "0.69 on average";
    EXPECT_EQ(off.on_new_samples(i, loss(0.01)), std::nullopt);
    EXPECT_EQ(alarm.on_new_samples(i, loss(0.0)), std::nullopt) << "text alone";
    EXPECT_EQ(alarm.on_new_samples(i, loss(kNan)), std::nullopt);
    for (const double kept : alarm.newest()) EXPECT_TRUE(std::isfinite(kept)) << "a checkpoint holds them";
  }
}

TEST_F(Leak, HeldOutClipsRaiseItUnlessTheyAreTrainedOn) {
  load({chat("c0", "c1")});
  const Dataset training = std::move(run.data);
  load({chat("c0", "c2")});
  LeakAlarm alarm(0.5, training, &run.data, run.ids);
  EXPECT_EQ(alarm.on_held_out(3, loss(0.6)), std::nullopt);
  EXPECT_THAT(alarm.on_held_out(3, loss(0.4)).value_or(""), HasSubstr("step 3: the audio loss on held-out"));
  LeakAlarm known(0.5, training, &training, run.ids);
  EXPECT_EQ(known.on_held_out(3, loss(0.4)), std::nullopt);
}

// Only what was never trained on counts: ten steps of the first pass, none of the second.
TEST_F(Leak, TheTrainerAsksInTheFirstPassOnly) {
  std::vector<std::string> lines;
  for (int i = 0; i < 9; ++i)
    lines.push_back(chat("c" + std::to_string(i), "c" + std::to_string((i + 1) % 9)));
  load(lines);
  run.options.batch_size = 1;
  run.options.max_steps = 20;
  run.options.leak_alarm = 100.0;
  run.make();
  EXPECT_TRUE(run.run()) << "nine steps are too few";
  lines.push_back(chat("c0", "c2"));
  load(lines);
  run.make();
  EXPECT_THAT(run_error([&] { run.run(); }), HasSubstr("step 10: the audio loss over the last 10 steps"));
}

TEST(ManifestLines, CanBeReadFromAnotherFolder) {
  const TemporaryFolder folder;
  const std::string manifest = golden("e2e/manifest.jsonl").string();
  std::vector<std::string> wheres;
  TinyRun run(folder / "run");
  for (std::size_t i = 0; i < run.data.size(); ++i) wheres.push_back(run.data.sample(i).where);
  test::write_text(folder / "copy.jsonl", lines_with_full_paths(wheres));
  const std::string before = run.data.fingerprint();
  run.load(folder / "copy.jsonl");
  EXPECT_EQ(run.data.fingerprint(), before);
  EXPECT_THAT(test::user_error([&] { lines_with_full_paths({manifest + ":4000"}); }),
              HasSubstr("manifest.jsonl:4000: there is no such line any more"));
}

}  // namespace
}  // namespace higgs
