// Checkpoints: whole or refused, and a resumed run is the uninterrupted one, bit for bit.
#include <gmock/gmock.h>

#include "higgs/base/json.h"
#include "higgs/model/lora_linear.h"
#include "higgs/train/checkpoint.h"
#include "support/process.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::TinyRun;
using test::user_error;
using ::testing::HasSubstr;

TEST(Resume, MidRunGivesTheUninterruptedAdapter) {
  const TemporaryFolder folder;
  TinyRun whole(folder / "whole");
  whole.make();
  ASSERT_TRUE(whole.run());
  ASSERT_EQ(whole.recorder.steps.size(), 6u);

  TinyRun first(folder / "split");
  first.make();
  ASSERT_FALSE(first.run(3));
  ASSERT_EQ(first.recorder.checkpoints, (std::vector<fs::path>{folder / "split" / "step-000003"}));

  TinyRun second(folder / "split");
  second.lora.seed = 99;  // other initial values: all must come from the checkpoint
  second.make().resume(folder / "split" / "step-000003");
  EXPECT_EQ(second.trainer->step(), 3);
  ASSERT_TRUE(second.run());
  ASSERT_EQ(second.recorder.steps.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(second.recorder.steps[i].loss.total, whole.recorder.steps[3 + i].loss.total);
    EXPECT_EQ(second.recorder.steps[i].grad_norm, whole.recorder.steps[3 + i].grad_norm);
    EXPECT_EQ(second.recorder.steps[i].learning_rate, whole.recorder.steps[3 + i].learning_rate);
    EXPECT_EQ(second.recorder.steps[i].step, whole.recorder.steps[3 + i].step);
  }
  EXPECT_TRUE(second.adapter->values().equal(whole.adapter->values()));
  EXPECT_FALSE(first.adapter->values().equal(whole.adapter->values()));
  EXPECT_EQ(test::text_of(folder / "split" / "step-000006" / "adapter_model.safetensors"),
            test::text_of(folder / "whole" / "step-000006" / "adapter_model.safetensors"));
}

class Checkpoint : public ::testing::Test {
 protected:
  Checkpoint() : run(folder / "run") {
    run.make();
    run.run(2);
    saved = folder / "run" / "step-000002";
  }
  std::string refusal() {
    TinyRun other(folder / "run");
    other.make();
    return user_error([&] { other.trainer->resume(saved); });
  }

  TemporaryFolder folder;
  TinyRun run;
  fs::path saved;
};

TEST_F(Checkpoint, RestoresAdapterAndOptimizer) {
  Adapter& adapter = *run.adapter;
  const at::Tensor values = adapter.values().clone();
  AdamW optimizer(adapter.values(), adapter.grads(), {});
  adapter.values().zero_();
  const CheckpointState state = read_checkpoint(saved, adapter, optimizer);
  EXPECT_EQ(state.step, 2);
  EXPECT_EQ(optimizer.num_steps(), 2);
  EXPECT_TRUE(adapter.values().equal(values));
  EXPECT_GT(optimizer.first_moment().abs().max().item<double>(), 0);
  const at::Tensor first = optimizer.first_moment().clone(), second = optimizer.second_moment().clone();
  CheckpointImage(adapter, optimizer, state).write(folder / "again");
  AdamW fresh(adapter.values(), adapter.grads(), {});
  EXPECT_EQ(read_checkpoint(folder / "again", adapter, fresh).run, state.run);
  EXPECT_TRUE(fresh.first_moment().equal(first));
  EXPECT_TRUE(fresh.second_moment().equal(second));
}

TEST_F(Checkpoint, OfAnotherRunIsRefused) {
  const auto refused_with = [&](const std::function<void(TinyRun&)>& change) {
    TinyRun other(folder / "run");
    change(other);
    other.make();
    return user_error([&] { other.trainer->resume(saved); });
  };
  EXPECT_THAT(refused_with([](TinyRun& r) { r.options.seed = 6; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.alpha = 7; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.use_rslora = true; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.use_dora = true; }),
              HasSubstr("--use_dora and --modules_to_save"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.data.split_every(5); }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) {
                LoraLinear& linear = *r.model.linears()[2];
                linear.weight().set_data(linear.weight() * 1.01);
              }),
              HasSubstr("--base_ckpt"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.r = 8; }), HasSubstr("give the same --lora_r"));
}

TEST_F(Checkpoint, ARunMayBeMadeLonger) {
  TinyRun longer(folder / "run");
  longer.options.max_steps = 9;
  longer.make().resume(saved);
  EXPECT_TRUE(longer.run());
  EXPECT_EQ(longer.recorder.steps.front().step, 3);
  EXPECT_EQ(longer.recorder.steps.back().step, 9);
}

// The same samples a step, dealt out otherwise: the same training up to the order of sums.
TEST(Resume, AnotherSplitGivesTheSameTraining) {
  const TemporaryFolder folder;
  TinyRun whole(folder / "run");
  whole.options.save_steps = 3;
  whole.options.keep_last = 0;
  whole.make();
  ASSERT_TRUE(whole.run());
  TinyRun other(folder / "other");
  other.options.batch_size = 1;
  other.options.grad_accum = 2;
  other.make().resume(folder / "run" / "step-000003");
  ASSERT_TRUE(other.run());
  ASSERT_EQ(other.recorder.steps.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const double loss = whole.recorder.steps[3 + i].loss.total;
    // AdamW divides by small second moments, so rounding grows a little from step to step.
    EXPECT_NEAR(other.recorder.steps[i].loss.total, loss, 1e-5 * loss);
    EXPECT_EQ(other.recorder.steps[i].tokens, whole.recorder.steps[3 + i].tokens);
    EXPECT_EQ(other.recorder.steps[i].learning_rate, whole.recorder.steps[3 + i].learning_rate);
  }
}

// Steps of another size go on at the sample where the run stood; and that run too is resumed bit for bit.
TEST(Resume, AnotherStepSizeLosesNoSample) {
  const TemporaryFolder folder;
  TinyRun first(folder / "run");
  first.options.max_steps = 0;
  first.options.epochs = 4;  // 20 samples: 10 steps of two
  first.make();
  ASSERT_FALSE(first.run(4));
  const std::int64_t seen = first.recorder.steps.back().tokens;

  const auto go_on = [&](TinyRun& run, const char* from) {
    run.options.max_steps = 0;
    run.options.epochs = 4;
    run.options.batch_size = 3;
    run.make().resume(folder / from);
  };
  TinyRun whole(folder / "whole"), stopped(folder / "stopped"), rest(folder / "rest");
  go_on(whole, "run/step-000004");
  EXPECT_EQ(whole.trainer->total_steps(), 4 + 4);  // 12 samples are left
  ASSERT_TRUE(whole.run());
  EXPECT_NEAR(whole.recorder.steps.front().epoch, 11.0 / 5.0, 1e-12);
  EXPECT_NEAR(whole.recorder.steps.back().epoch, 4.0, 1e-12);
  std::int64_t tokens = 0;
  for (const std::int64_t length : whole.data.lengths().to_vector()) tokens += 4 * length;
  EXPECT_GT(whole.recorder.steps.front().tokens, seen);
  EXPECT_EQ(whole.recorder.steps.back().tokens, tokens) << "each sample four times";

  go_on(stopped, "run/step-000004");
  ASSERT_FALSE(stopped.run(6));
  go_on(rest, "stopped/step-000006");
  ASSERT_TRUE(rest.run());
  EXPECT_TRUE(rest.adapter->values().equal(whole.adapter->values()));
}

// A run asked for fewer steps than it has done is over.
TEST(Resume, PastItsEndThereIsNothingToDo) {
  for (const std::int64_t tokens : {0, 400}) {
    const TemporaryFolder folder;
    TinyRun first(folder / "run"), second(folder / "run");
    first.options.tokens_per_batch = second.options.tokens_per_batch = tokens;
    first.options.max_steps = 4;
    first.make();
    ASSERT_TRUE(first.run());
    second.options.max_steps = 2;
    second.make().resume(first.recorder.checkpoints.back());
    EXPECT_TRUE(second.run());
    EXPECT_TRUE(second.recorder.steps.empty());
    EXPECT_EQ(second.trainer->step(), 4);
  }
}

// Five samples packed anew in each epoch: stopped between the micro-batches of one, the run goes on with
// those that are left, with the same budget bit for bit, with another one or in numbers of samples without
// losing any.
TEST(Resume, ATokenBudgetGoesOnWhereItStood) {
  const TemporaryFolder folder;
  const auto packed = [](TinyRun& run, std::int64_t tokens) {
    run.options.tokens_per_batch = tokens;
    run.options.max_steps = 0;
    run.options.epochs = 4;
    run.make();
  };
  TinyRun whole(folder / "whole");
  std::int64_t tokens = 0, longest = 0;
  for (const std::int64_t length : whole.data.lengths().to_vector()) {
    tokens += 4 * length;
    longest = std::max(longest, length);
  }
  packed(whole, longest);
  ASSERT_TRUE(whole.run());
  EXPECT_EQ(whole.recorder.steps.back().tokens, tokens) << "each sample four times";
  ASSERT_GT(whole.trainer->total_steps(), 8) << "an epoch must take several steps";

  for (const std::int64_t stop : {1, 3, 4, 7}) {
    const std::string split = "split" + std::to_string(stop);
    TinyRun first(folder / split), same(folder / split), larger(folder / "larger"),
        counted(folder / "counted");
    packed(first, longest);
    ASSERT_FALSE(first.run(stop));
    const fs::path saved = first.recorder.checkpoints.back();
    packed(same, longest);
    same.trainer->resume(saved);
    ASSERT_TRUE(same.run());
    EXPECT_TRUE(same.adapter->values().equal(whole.adapter->values())) << stop;
    EXPECT_EQ(same.recorder.steps.back().epoch, whole.recorder.steps.back().epoch);
    packed(larger, 2 * longest);
    larger.trainer->resume(saved);
    ASSERT_TRUE(larger.run());
    EXPECT_EQ(larger.recorder.steps.back().tokens, tokens) << stop;
    packed(counted, 0);
    counted.trainer->resume(saved);
    ASSERT_TRUE(counted.run());
    EXPECT_EQ(counted.recorder.steps.back().tokens, tokens) << stop;
  }
}

TEST(Resume, TakesTheGuardAlong) {
  const TemporaryFolder folder;
  const auto guarded = [&](TinyRun& run) {
    run.options.max_steps = 30;
    run.options.spike_guard = 1.05;
    run.make();
  };
  TinyRun whole(folder / "whole"), first(folder / "split"), second(folder / "split");
  guarded(whole);
  ASSERT_TRUE(whole.run());
  guarded(first);
  ASSERT_FALSE(first.run(24));
  guarded(second);
  second.trainer->resume(folder / "split" / "step-000024");
  ASSERT_TRUE(second.run());
  int left_out = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(second.recorder.steps[i].verdict, whole.recorder.steps[24 + i].verdict);
    left_out += whole.recorder.steps[24 + i].verdict == Verdict::kSpike ? 1 : 0;
  }
  EXPECT_GT(left_out, 0) << "nothing was compared";
  EXPECT_TRUE(second.adapter->values().equal(whole.adapter->values()));
}

TEST_F(Checkpoint, DamagedOnesAreRefusedWithTheReason) {
  for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
    const fs::path file = saved / name;
    const std::string whole = test::text_of(file);
    std::string flipped = whole;
    flipped[flipped.size() / 2] ^= 4;
    test::write_text(file, flipped);
    EXPECT_THAT(refusal(), HasSubstr(std::string(name) + " has other bytes than were written"));
    test::write_text(file, whole.substr(0, whole.size() - 1));
    EXPECT_THAT(refusal(), HasSubstr(std::string(name) + " has another size"));
    fs::remove(file);
    EXPECT_THAT(refusal(), HasSubstr(std::string(name) + " is missing"));
    test::write_text(file, whole);
  }
  fs::remove(saved / "MANIFEST.json");
  EXPECT_THAT(refusal(), HasSubstr("step-000002: has no MANIFEST.json: it was never finished"));
}

TEST_F(Checkpoint, OldOnesAreRemovedNewestKept) {
  TinyRun other(folder / "kept");
  other.options.save_steps = 1;
  other.options.keep_last = 2;
  other.make();
  ASSERT_TRUE(other.run());
  const auto left = list_checkpoints(folder / "kept");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[0].step, 6);
  EXPECT_EQ(left[1].step, 5);
  EXPECT_EQ(checkpoint_fault(left[0].folder), std::nullopt);
}

TEST(CheckpointState, ComesBackAsItWas) {
  CheckpointState state;
  state.step = 7;
  state.optimizer_steps = 5;
  state.samples = 14;
  state.tokens = 900;
  state.seconds = 12.5;
  state.evaluated = true;
  state.validation_loss = 2.25;
  state.best_validation = 2.125;
  state.norm_mean = 0.75;
  state.norm_count = 5;
  state.left_out_in_row = 2;
  state.newest_losses = {5.5, 0.1};
  state.run = "r";
  state.settings = {{"--lr", "0.1"}};
  const std::string text = to_json(state);
  EXPECT_EQ(to_json(state_from_json(text, "f")), text);
  const auto refusal_with = [&](const char* key, const Json& value) {
    Json changed = Json::parse(text);
    changed[key] = value;
    return user_error([&] { state_from_json(changed.dump(), "f"); });
  };
  EXPECT_EQ(refusal_with("step", -1), "f: key 'step' must not be negative");
  EXPECT_EQ(refusal_with("samples_left", {3, 2}), "f: key 'samples_left' must hold ascending positions");
  EXPECT_EQ(refusal_with("origin_step", std::int64_t{1} << 40), "f: key 'origin_step' lies behind 'step'");
  EXPECT_EQ(state_from_json(text, "f").newest_losses, state.newest_losses);
  EXPECT_EQ(state_from_json(text, "f").left_out_in_row, 2);
}

}  // namespace
}  // namespace higgs
