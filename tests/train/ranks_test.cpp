// A step's gradient is that of its samples, whichever ranks, micro-batches and accumulation they are spread
// over: real ranks, joined by Gloo on the loopback.
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <gtest/gtest.h>

#include "higgs/dist/ranks.h"
#include "higgs/model/weights.h"
#include "support/self_mpirun.h"
#include "support/tiny_run.h"

namespace higgs {
namespace {

using test::TinyRun;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// One way to spread a step of four samples; the run draws seven, so that its second step is ragged.
struct Split {
  const char* name;
  int ranks;
  std::int64_t batch_size, grad_accum;
};
constexpr Split kSplits[] = {{"1 rank, batch 4", 1, 4, 1},
                             {"1 rank, batch 2, accumulation 2", 1, 2, 2},
                             {"1 rank, batch 1, accumulation 4", 1, 1, 4},
                             {"2 ranks, batch 2", 2, 2, 1},
                             {"2 ranks, batch 1, accumulation 2", 2, 1, 2},
                             {"4 ranks, batch 1", 4, 1, 1}};

void write_gradient(const fs::path& path, const at::Tensor& gradient) {
  const at::Tensor host = gradient.contiguous();
  write_safetensors(path, {{"gradient",
                            DType::kF32,
                            host.sizes().vec(),
                            {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}}});
}

at::Tensor read_gradient(const fs::path& path) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  return view_of(file->at("gradient"), file).clone();
}

// What a rank does: trains two steps without clipping and leaves each one's gradient as a file.
TEST(RanksChild, Gradients) {
  if (!test::is_a_rank()) GTEST_SKIP() << "runs inside RanksTest";
  const fs::path output = variable("RANKS_OUTPUT");
  TinyRun run(output / "checkpoints");
  run.options.batch_size = std::stoll(variable("RANKS_BATCH"));
  run.options.grad_accum = std::stoll(variable("RANKS_ACCUM"));
  run.options.max_grad_norm = 0.0;
  run.options.max_steps = 0;
  run.options.epochs = 7.0 / 5.0;
  run.options.loader = {2, 1 << 20};
  run.lora.modules_to_save = parse_modules_to_save(variable("RANKS_MODULES"), "RANKS_MODULES");
  run.load(variable("RANKS_MANIFEST"));
  const int exit_code = run_ranks(read_launch(), 60, [&](Collective& ranks) {
    run.adapter.emplace(run.model, run.lora);
    Trainer trainer(run.model, *run.adapter, run.data, nullptr, run.ids, run.options, run.recorder, ranks);
    EXPECT_EQ(trainer.total_steps(), 2);
    trainer.run([&] {
      if (ranks.rank() == 0) {
        write_gradient(output / ("step" + std::to_string(trainer.step())), run.adapter->grads());
      }
      return false;
    });
    return 0;
  });
  EXPECT_EQ(exit_code, 0);
}

class RanksTest : public ::testing::Test {
 protected:
  fs::path train(const Split& split, const fs::path& manifest) const {
    const fs::path output = folder / split.name;
    fs::create_directories(output);
    const auto result = test::run_as_ranks(split.ranks, "RanksChild.Gradients",
                                           {{"RANKS_OUTPUT", output},
                                            {"RANKS_BATCH", std::to_string(split.batch_size)},
                                            {"RANKS_ACCUM", std::to_string(split.grad_accum)},
                                            {"RANKS_MODULES", modules_to_save},
                                            {"RANKS_MANIFEST", manifest}});
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    return output;
  }

  // Prints the table of relative differences to the first split, and checks them.
  void expect_same_gradients(const fs::path& manifest) {
    const fs::path first = train(kSplits[0], manifest);
    for (const Split& split : kSplits) {
      const fs::path output = split.name == kSplits[0].name ? first : train(split, manifest);
      for (const char* step : {"step1", "step2"}) {
        const at::Tensor expected = read_gradient(first / step), found = read_gradient(output / step);
        const double difference = at::linalg_vector_norm(found - expected).item<double>() /
                                  at::linalg_vector_norm(expected).item<double>();
        std::printf("  %-34s %s: gradient differs by %.1e of its norm\n", split.name, step, difference);
        EXPECT_LT(difference, 1e-6);  // float32 sums in another order
      }
    }
  }
  test::TemporaryFolder folder;
  std::string modules_to_save;
};

TEST_F(RanksTest, TheGradientDoesNotDependOnTheSplit) {
  expect_same_gradients(test::golden("e2e/manifest.jsonl"));
}

TEST_F(RanksTest, NorWithModulesTrainedWhole) {
  modules_to_save = "audio_lm_head,embed_audio_tokens,text_lm_head";
  expect_same_gradients(test::golden("e2e/manifest.jsonl"));
}

// With four ranks one at least has a single sample whose answer is text: no audio label at all.
TEST_F(RanksTest, NorOnARankWithoutAudioLabels) {
  fs::copy(test::golden("e2e"), folder / "data", fs::copy_options::recursive);
  auto lines = test::lines_of(test::text_of(folder / "data" / "manifest.jsonl"));
  ASSERT_EQ(lines.size(), 5u);
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text +=
        (i % 3 == 0
             ? R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"good day"}]})"
             : lines[i]) +
        "\n";
  }
  test::write_text(folder / "data" / "manifest.jsonl", text);
  expect_same_gradients(folder / "data" / "manifest.jsonl");
}

// A replica that drifts (a flipped bit on one rank) stops the run.
TEST(RanksChild, Drift) {
  if (!test::is_a_rank()) GTEST_SKIP() << "runs inside RanksTest";
  TinyRun run(fs::path(variable("RANKS_OUTPUT")) / "checkpoints");
  run.options.replica_check_steps = 2;
  run_ranks(read_launch(), 60, [&](Collective& ranks) {
    run.adapter.emplace(run.model, run.lora);
    Trainer trainer(run.model, *run.adapter, run.data, nullptr, run.ids, run.options, run.recorder, ranks);
    trainer.run([&] {
      if (ranks.rank() == 1 && trainer.step() == 3) {
        auto* bits = reinterpret_cast<std::uint32_t*>(run.adapter->values().mutable_data_ptr<float>());
        bits[7] ^= 1u;
      }
      return false;
    });
    return 0;
  });
}

TEST_F(RanksTest, ADriftingReplicaStopsTheRun) {
  const auto result = test::run_as_ranks(2, "RanksChild.Drift", {{"RANKS_OUTPUT", folder.path()}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("step 4: the adapter of rank 1 is no longer rank 0's"), std::string::npos)
      << result.err;
}

}  // namespace
}  // namespace higgs
