// `plan` against the memory that training really takes.
#include <gtest/gtest.h>

#include <iostream>

#include "app/app_test.h"
#include "higgs/formats/safetensors.h"
#include "support/sanitizer.h"

namespace higgs::test {
namespace {

class PlanTest : public AppTest {
 protected:
  Json plan(const Arguments& arguments) const {
    return Json::parse(run(Arguments{"plan", "--json"} + arguments).out);
  }

  // Peak memory of one training step on `count` samples, and what a batch of them holds.
  struct Step {
    double peak_bytes = 0.0;
    std::int64_t rows = 0, text_rows = 0, audio_rows = 0;
  };
  Step step(std::size_t count, const std::string& dtype, const Arguments& more = {}) const {
    const std::string text = first_lines(demo("voice/train.jsonl"), 40);
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) lines += lines_of(text)[i % 8] + "\n";
    const std::string name = std::to_string(count);
    const fs::path manifest = write(name + ".jsonl", lines),
                   output = scratch / (name + dtype + std::to_string(more.size()));
    Environment variables = environment();
    // Freed blocks go back to the system: without this, holes in the heap count as memory in use.
    variables["MALLOC_MMAP_THRESHOLD_"] = "65536";
    const ProcessResult result = run_process(
        Arguments{program(), "train"} + demo_base() +
            Arguments{"--train_manifest", manifest, "--output_dir", output, "--val_split", "0", "--max_steps",
                      "1", "--self_test", "off", "--auditions", "0", "--batch_size", name, "--dtype", dtype} +
            more,
        variables);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json metrics = Json::parse(lines_of(text_of(output / "metrics.jsonl")).back());
    run(Arguments{"inspect", "collate"} + demo_base() +
        Arguments{"--manifest", manifest, "--out", scratch / "batch.safetensors"});
    const SafetensorsFile batch(scratch / "batch.safetensors");
    Step step{metrics.at("memory_bytes").get<double>(), metrics.at("tokens").get<std::int64_t>(), 0,
              batch.at("audio_out_ids").shape[1]};
    for (const std::int64_t label : batch.integers("label_ids")) step.text_rows += label >= 0 ? 1 : 0;
    return step;
  }

  // config.json of the released model's sizes.
  void write_released() const {
    Json config = Json::parse(text_of(golden("hf/model") / "config.json"));
    config.update(Json{{"hidden_size", 3072},
                       {"intermediate_size", 8192},
                       {"num_hidden_layers", 28},
                       {"num_attention_heads", 24},
                       {"num_key_value_heads", 8},
                       {"head_dim", 128},
                       {"vocab_size", 128256}});
    fs::create_directories(scratch / "released");
    write("released/config.json", config.dump());
  }
};

// The released model's sizes, as REFERENCE's publishers give them: 5.77 B parameters, and an adapter of rank
// 16 on every linear map of 39.5 M.
TEST_F(PlanTest, CountsTheReleasedModel) {
  write_released();
  const Json big = plan({"--base_ckpt", scratch / "released", "--device_memory_gb", "24"});
  EXPECT_EQ(big.at("parameters"), 5771283456);
  EXPECT_EQ(big.at("adapter_parameters"), 39452672);
  EXPECT_EQ(big.at("weights_bytes"), 2 * 5771283456);
  // Of the linear maps, in each of 28 layers attention and two FFNs, half a byte a value and four a block
  // of 64.
  const std::int64_t linear = 28LL * (2 * 3072 * 3072 + 2 * 3072 * 1024 + 2 * 3 * 3072 * 8192);
  EXPECT_EQ(plan({"--base_ckpt", scratch / "released", "--base_dtype", "nf4"}).at("weights_bytes"),
            2 * (5771283456 - linear) + linear / 2 + linear / 16);
  const std::int64_t largest = big.at("largest_micro_batch_tokens");
  EXPECT_GT(largest, 500);
  // That many fit, and not many more.
  const auto total = [&](std::int64_t tokens) {
    const Json all = plan({"--base_ckpt", scratch / "released", "--batch_size", "1", "--text_tokens", "0",
                           "--sample_tokens", std::to_string(tokens)});
    return all.at("total_bytes").get<double>();
  };
  EXPECT_LE(total(largest), 24.2e9);
  EXPECT_GT(total(largest + 100), 23.9e9);
  EXPECT_EQ(
      plan({"--base_ckpt", scratch / "released", "--device_memory_gb", "8"}).at("largest_micro_batch_tokens"),
      0);
}

// The audio head and the embeddings have 8 x 1026 x 3072 parameters each, the text head 128256 x 3072: value,
// gradient and two moments of each, a rounded head, and the head's gradient once more while it is at work.
TEST_F(PlanTest, CountsModulesTrainedWhole) {
  write_released();
  const Arguments base = {"--base_ckpt", scratch / "released", "--tflops", "400"};
  const std::int64_t audio = 8LL * 1026 * 3072, text = 128256LL * 3072;
  const Json plain = plan(base),
             heads = plan(base + Arguments{"--modules_to_save", "audio_lm_head,embed_audio_tokens"}),
             all =
                 plan(base + Arguments{"--modules_to_save", "audio_lm_head,embed_audio_tokens,text_lm_head"});
  const auto more = [&](const Json& with, const char* key) {
    return with.at(key).get<std::int64_t>() - plain.at(key).get<std::int64_t>();
  };
  EXPECT_EQ(more(heads, "adapter_parameters"), 2 * audio);
  EXPECT_EQ(more(all, "adapter_parameters"), 2 * audio + text);
  EXPECT_EQ(more(all, "adapter_bytes"), 4 * (2 * audio + text));
  EXPECT_EQ(more(all, "gradients_bytes"), 4 * (2 * audio + text));
  EXPECT_EQ(more(all, "moments_bytes"), 8 * (2 * audio + text));
  EXPECT_EQ(more(all, "weights_bytes"), 2 * (audio + text));
  EXPECT_GE(all.at("working_bytes").get<std::int64_t>(), 4 * text);
  const double flops = 2.0 * 2 * 496 * static_cast<double>(audio);  // 496 frames of two samples
  EXPECT_NEAR(heads.at("step_seconds").get<double>() - plain.at("step_seconds").get<double>(), flops / 400e12,
              1e-6);
}

// The released size: 11.27 GFLOP a token through frozen maps (28 layers, attention and one FFN, forward and
// the input's gradient), with rank 16 on them, heads and attention within samples beside that.
TEST_F(PlanTest, SaysStepsAndTheirTime) {
  write_released();
  const double attention = 2 * 3072.0 * 3072 + 2 * 3072 * 1024, ffn = 3 * 3072.0 * 8192;
  const double frozen = 4 * 28 * (attention + ffn);
  EXPECT_NEAR(frozen, 11.27e9, 0.01e9);
  const double adapted = 6 * 28 * 16.0 * (2 * (3072 + 3072) + 2 * (3072 + 1024) + 3 * (3072 + 8192));
  const double inside = 28 * 7.0 * 500 * 3072;
  const double heads = 4 * 3072.0 * (496 * 8 * 1026.0 + 4 * 128256.0);
  const double flops = 2 * (500 * (frozen + adapted + inside) + heads);
  const Arguments asked = {
      "--base_ckpt", scratch / "released", "--hours", "1", "--grad_accum", "8", "--epochs", "3", "--ranks",
      "2",           "--tflops",           "400"};
  const Json all = plan(asked);
  EXPECT_EQ(all.at("tokens_per_step"), 2 * 8 * 2 * 500);
  EXPECT_EQ(all.at("samples"), 181) << "90,000 frames, 496 a sample";
  EXPECT_EQ(all.at("steps_per_epoch"), 6) << "of 32 samples";
  EXPECT_EQ(all.at("steps"), 17);
  EXPECT_NEAR(all.at("step_seconds"), 8 * flops / 400e12, 1e-9);
  EXPECT_NEAR(all.at("epoch_seconds"), 6 * 8 * flops / 400e12, 1e-8);
  const std::string text = run(Arguments{"plan"} + asked).out;
  EXPECT_NE(text.find("steps            17, 6 an epoch of 181 samples\n"), std::string::npos) << text;
  EXPECT_EQ(plan({"--base_ckpt", scratch / "released"}).count("steps"), 0u);
}

// Every form of base: the parameters are those in its file.
TEST_F(PlanTest, CountsEveryTensorOfABase) {
  for (const char* base : {"hf/model", "boson/model/base", "boson/model/fast_forward", "boson/model/tower"}) {
    const SafetensorsFile file(golden(std::string(base) + "/model.safetensors"));
    std::int64_t stored = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      if (name != "audio_codebook_weights") stored += tensor.numel();
    }
    EXPECT_EQ(plan({"--base_ckpt", golden(base)}).at("parameters"), stored) << base;
  }
}

// What more samples in a micro-batch add to the process's peak, within 10 % of the plan. (What a process
// takes before its first sample is LibTorch's.)
TEST_F(PlanTest, ForeseesWhatABatchTakes) {
  if (kUnderSanitizer) GTEST_SKIP() << "the sanitizer keeps memory of its own beside what is measured";
  step(8, "fp32");  // encodes the clips, which takes more than a small batch
  const std::vector<std::pair<std::string, Arguments>> runs = {
      {"fp32", {}}, {"bf16", {}}, {"fp32", {"--gradient_checkpointing"}}};
  for (const auto& [dtype, more] : runs) {
    // So many that they take more than loading does.
    const std::size_t count = more.empty() ? 40 : 80;
    const Step few = step(count, dtype, more), many = step(2 * count, dtype, more);
    const auto planned = [&](const Step& step) {
      const Json all = plan(Arguments{"--base_ckpt", demo("base"), "--dtype", dtype, "--batch_size", "1",
                                      "--sample_tokens", std::to_string(step.rows), "--text_tokens",
                                      std::to_string(step.text_rows), "--prompt_tokens",
                                      std::to_string(step.rows - step.text_rows - step.audio_rows)} +
                            more);
      return all.at("working_bytes").get<double>() + all.at("activations_bytes").get<double>();
    };
    const double measured = many.peak_bytes - few.peak_bytes, foreseen = planned(many) - planned(few);
    std::cout << dtype << ": " << many.rows - few.rows << " rows more take " << measured * 1e-6
              << " MB, planned " << foreseen * 1e-6 << " MB\n";
    EXPECT_NEAR(foreseen / measured, 1.0, 0.1) << dtype;
  }
}

}  // namespace
}  // namespace higgs::test
