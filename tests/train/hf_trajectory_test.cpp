// transformers + peft: from a manifest to batches, and eight steps of training (goldens hf).
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <fstream>

#include "higgs/codec/codes.h"
#include "higgs/train/optimizer.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::close;
using test::golden;
using test::HfBatch;
using test::kLossTolerance;
using test::load;
using test::Tolerance;

// transformers sums the losses of the codebooks.
const ObjectiveOptions kSum{1.0, 1.0, /*sum_codebooks=*/true, {}};

void expect_same_inputs(const PackedBatch& ours, const PackedBatch& theirs) {
  EXPECT_EQ(ours.cu_seqlens, theirs.cu_seqlens);
  EXPECT_TRUE(ours.kind.equal(theirs.kind));
  EXPECT_TRUE(ours.positions.equal(theirs.positions));
  EXPECT_TRUE(ours.text_rows.equal(theirs.text_rows));
  EXPECT_TRUE(ours.text_ids.equal(theirs.text_ids));
  EXPECT_TRUE(ours.audio_rows.equal(theirs.audio_rows));
  EXPECT_TRUE(ours.audio_ids.equal(theirs.audio_ids));
}

// The reference's own tokenisation of data/manifest.jsonl.
TEST(HfTrainGoldenData, ManifestBecomesTheReferencesSamples) {
  const HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  const SpecialIds ids = special_ids(model.config(), *tokenizer);
  CodeStore store([]() -> std::unique_ptr<AudioTokenizer> { return nullptr; }, "", ids.num_codebooks,
                  ids.codebook_size);
  const Dataset data = Dataset::load(golden("hf/data/manifest.jsonl"), *tokenizer, store, ids, {});
  const std::vector<EncodedSample> want = test::hf_samples();
  ASSERT_EQ(data.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(data.sample(i).input_ids, want[i].input_ids);
    EXPECT_EQ(data.sample(i).label_ids, want[i].label_ids);
    ASSERT_EQ(data.sample(i).codes.size(), want[i].codes.size());
    for (std::size_t clip = 0; clip < want[i].codes.size(); ++clip) {
      EXPECT_EQ(data.sample(i).codes[clip].values, want[i].codes[clip].values);
    }
  }
}

// pack() of the raw samples makes what the reference's own collation made, padded on either side.
TEST(HfTrainGoldenData, PackEqualsTheReferenceBatch) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  using Which = std::vector<std::size_t>;
  for (const auto& [name, which] :
       {std::pair<std::string, Which>{"batch_right", {0, 1}}, {"batch_left", {3, 1}}}) {
    SCOPED_TRACE(name);
    const PackedBatch ours = test::batch_of(test::hf_samples(), which, special_ids(model.config()));
    const HfBatch reference(golden("hf/" + name + ".safetensors"), golden("hf/model"));
    expect_same_inputs(ours, reference.packed);
    EXPECT_TRUE(ours.text_target_rows.equal(reference.packed.text_target_rows));
    EXPECT_TRUE(ours.text_targets.equal(reference.packed.text_targets));
    EXPECT_TRUE(ours.audio_target_rows.equal(reference.packed.audio_target_rows));
    EXPECT_TRUE(ours.audio_targets.equal(reference.packed.audio_targets));
  }
}

// HiggsAudioV2Processor on the two chats: it puts a second <|begin_of_text|> before the template's own, and
// has its own rule for labels, which tests/train/hf_golden_test.cpp compares.
TEST(HfTrainGoldenData, ChatsBecomeTheProcessorsBatch) {
  const HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  const Json chats = read_json_file(golden("hf/tokenizer_golden.json")).at("chats");
  std::vector<EncodedSample> samples;
  for (const Json& chat : chats) {
    EncodedSample& sample = samples.emplace_back();
    sample.input_ids = tokenizer->encode("<|begin_of_text|>" + chat.at("text").get<std::string>());
    sample.label_ids = sample.input_ids;
    for (const Json& message : chat.at("messages")) {
      for (const Json& content : message.at("content")) {
        if (content.at("type") != "audio") continue;
        const fs::path wav = content.at("url").get<std::string>();
        sample.codes.push_back(read_codes(golden("hf/data/codes") / (wav.stem().string() + ".safetensors")));
      }
    }
  }
  const HfBatch reference(golden("hf/batch_hf_processor.safetensors"), golden("hf/model"));
  expect_same_inputs(test::batch_of(samples, {0, 1}, special_ids(model.config())), reference.packed);
}

// AdamW divides by tiny second moments in the first steps, so single values differ by more than gradients do:
// 4.5e-5 of a tensor's largest measured after step 1.
const Tolerance kTrained{2e-4, "float32: gradients near zero over their own size"};
const Tolerance kMoved{1e-5, "float32: norm of the difference over how far training went; 2.6e-6 measured"};

void compare_adapter(const Adapter& adapter, const char* folder, double moved) {
  const SafetensorsFile want(golden(std::string("hf/train/") + folder + "/adapter_model.safetensors"));
  ASSERT_EQ(want.tensors().size(), adapter.tensors().size());
  double squares = 0;
  for (const AdapterTensor& tensor : adapter.tensors()) {
    const at::Tensor theirs = load(want, tensor.key);
    EXPECT_TRUE(close(tensor.value, theirs, kTrained, std::string(folder) + " " + tensor.key));
    squares += (tensor.value.detach() - theirs).to(at::kDouble).square().sum().item<double>();
  }
  EXPECT_TRUE(test::within(std::sqrt(squares) / moved, kMoved, std::string(folder) + " as a whole"));
}

double distance(const char* a, const char* b) {
  const SafetensorsFile first(golden(std::string("hf/train/") + a + "/adapter_model.safetensors")),
      second(golden(std::string("hf/train/") + b + "/adapter_model.safetensors"));
  double squares = 0;
  for (const auto& [name, view] : first.tensors()) {
    squares += (load(first, name) - load(second, name)).to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(squares);
}

TEST(HfTrainGoldenTrajectory, EightStepsEqualPeft) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  Adapter adapter(model, golden("hf/train/adapter_init"));
  const std::vector<EncodedSample> samples = test::hf_samples();
  const SpecialIds ids = special_ids(model.config());
  AdamW optimizer(adapter.values(), adapter.grads(), {.weight_decay = 0.01});
  const Json trajectory = read_json_file(golden("hf/train/trajectory.json"));
  std::int64_t step = 0;
  for (const Json& want : trajectory.at("steps")) {
    const auto which = want.at("micro_batches").at(0).at("samples").get<std::vector<std::size_t>>();
    const PackedBatch batch = test::batch_of(samples, which, ids);
    adapter.grads().zero_();
    const double loss = test::backward(model, batch, test::counts_of(batch), kSum);
    const double norm = clip_gradient(adapter.grads(), 1.0).item<double>();
    const double wanted_loss = want.at("loss"), wanted_norm = want.at("grad_norm_before_clip");
    const std::string at_step = " of step " + std::to_string(step);
    EXPECT_EQ(want.at("step"), step);
    EXPECT_TRUE(close(loss, wanted_loss, kLossTolerance, "loss" + at_step));
    EXPECT_TRUE(close(loss, want.at("micro_batches").at(0).at("loss").get<double>(), kLossTolerance,
                      "loss of the micro-batch" + at_step));
    EXPECT_TRUE(close(norm, wanted_norm, kLossTolerance, "gradient norm" + at_step));
    const double rate = learning_rate(Schedule::kCosine, step, 2, 8, 0.003);
    EXPECT_NEAR(rate, want.at("lr").get<double>(), 1e-12);
    optimizer.step(rate);
    if (++step == 1) {
      compare_adapter(adapter, "adapter_after_step_1", distance("adapter_init", "adapter_after_step_1"));
    }
  }
  EXPECT_EQ(step, 8);
  compare_adapter(adapter, "adapter_final", distance("adapter_init", "adapter_final"));
}

}  // namespace
}  // namespace higgs
