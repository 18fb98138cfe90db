// Checkpoints: whole or refused, and a resumed run is the uninterrupted one, bit for bit.
#include <gmock/gmock.h>

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
  write_checkpoint(folder / "again", adapter, optimizer, state);
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
  EXPECT_THAT(refused_with([](TinyRun& r) { r.options.batch_size = 1; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.alpha = 7; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.use_rslora = true; }), HasSubstr("is of another run"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.lora.use_dora = true; }), HasSubstr("and --use_dora"));
  EXPECT_THAT(refused_with([](TinyRun& r) { r.data.split_every(5); }), HasSubstr("is of another run"));
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

}  // namespace
}  // namespace higgs
