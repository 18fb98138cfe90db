// A gradient is that of the optimizer step's samples, however they are split, ordered and packed.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;

class Independence : public ::testing::Test {
 protected:
  Independence()
      : model(golden("hf/model"), at::kFloat, at::kCPU),
        adapter(model, golden("hf/adapter_lora")),
        samples(test::hf_samples()),
        ids(special_ids(model.config())) {
    forward.dropout_p = 0.3;
    forward.dropout_key = 77;
  }

  // The step's gradient over samples 0..3 when they are computed in micro-batches of these sizes.
  at::Tensor gradient(const std::vector<std::size_t>& sizes) {
    std::vector<PackedBatch> batches;
    TargetCounts counts(8);
    for (std::size_t i = 0, first = 0; i < sizes.size(); first += sizes[i++]) {
      std::vector<std::size_t> which;
      for (std::size_t j = 0; j < sizes[i]; ++j) which.push_back(first + j);
      batches.push_back(test::batch_of(samples, which, ids, static_cast<std::int64_t>(first)));
      counts.add(batches.back());
    }
    adapter.grads().zero_();
    for (const PackedBatch& batch : batches) test::backward(model, batch, counts, {}, forward);
    return adapter.grads().clone();
  }

  HiggsModel model;
  Adapter adapter;
  std::vector<EncodedSample> samples;
  SpecialIds ids;
  ForwardOptions forward;
};

double relative_norm(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).norm().item<double>() / b.norm().item<double>();
}

// 1e-6: sums of float32 in another order, nothing else.
TEST_F(Independence, GradientDoesNotDependOnMicroBatches) {
  const at::Tensor whole = gradient({4});
  EXPECT_LT(relative_norm(gradient({2, 2}), whole), 1e-6);
  EXPECT_LT(relative_norm(gradient({1, 1, 1, 1}), whole), 1e-6);
  EXPECT_LT(relative_norm(gradient({3, 1}), whole), 1e-6);
}

TEST_F(Independence, DropoutChangesTheGradientAndTheStepChangesDropout) {
  const at::Tensor first = gradient({4});
  forward.dropout_key = 78;
  EXPECT_GT(relative_norm(gradient({4}), first), 1e-3);
  forward.dropout_p = 0.0;
  EXPECT_GT(relative_norm(gradient({4}), first), 1e-3);
}

// Sums of the losses of each sample alone, and packed with the others in every order.
TEST_F(Independence, PackingOrderChangesNoSamplesLoss) {
  const auto sums_of = [&](const std::vector<std::size_t>& which) {
    const PackedBatch batch = test::batch_of(samples, which, ids);
    const LossSums sums = loss_sums(model, batch, model.forward(batch), true);
    return std::pair{sums.text.item<double>(), sums.audio.sum().item<double>()};
  };
  double text = 0, audio = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto [t, a] = sums_of({i});
    text += t;
    audio += a;
  }
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    const auto [t, a] = sums_of(order);
    EXPECT_NEAR(t, text, 1e-6 * text);
    EXPECT_NEAR(a, audio, 1e-6 * audio);
  } while (std::next_permutation(order.begin(), order.end()));
}

// Rows of one sample equal those of the same sample packed behind another: nothing leaks between samples.
TEST_F(Independence, SamplesDoNotSeeEachOther) {
  const PackedBatch alone = test::batch_of(samples, {2}, ids, 1);
  const PackedBatch behind = test::batch_of(samples, {0, 2}, ids, 0);
  const at::Tensor hidden = model.forward(alone, forward);
  const at::Tensor rows = model.forward(behind, forward).slice(0, behind.cu_seqlens[1]);
  EXPECT_LT(test::relative_difference(rows, hidden), 1e-5);
}

// A term without labels is zero, not 0 / 0.
TEST_F(Independence, AbsentLabelsGiveNoNan) {
  EncodedSample text_only = samples[0];
  text_only.input_ids = {1792, 5, 6, 7};
  text_only.label_ids = {{-100, -100, 6, 7}};
  text_only.codes.clear();
  EncodedSample audio_only = samples[0];
  for (std::size_t i = 0; i < audio_only.input_ids.size(); ++i) {
    if (audio_only.input_ids[i] != ids.audio_out) (*audio_only.label_ids)[i] = kIgnore;
  }
  EncodedSample nothing = samples[0];
  std::fill(nothing.label_ids->begin(), nothing.label_ids->end(), kIgnore);
  const auto loss_of = [&](const EncodedSample& sample) {
    const PackedBatch batch = test::batch_of({sample}, {0}, ids);
    return total_loss(loss_sums(model, batch, model.forward(batch), true), test::counts_of(batch), {})
        .item<double>();
  };
  EXPECT_TRUE(std::isfinite(loss_of(text_only)) && loss_of(text_only) > 1);
  EXPECT_TRUE(std::isfinite(loss_of(audio_only)) && loss_of(audio_only) > 1);
  EXPECT_EQ(loss_of(nothing), 0.0);
}

TEST_F(Independence, WeightsAndReductionEnterTheLoss) {
  const PackedBatch batch = test::batch_of(samples, {0}, ids);
  const LossSums sums = loss_sums(model, batch, model.forward(batch), true);
  const TargetCounts counts = test::counts_of(batch);
  const auto total = [&](const ObjectiveOptions& options) {
    return total_loss(sums, counts, options).item<double>();
  };
  const double text = total({1, 0, false, {}}), mean = total({0, 1, false, {}}),
               sum = total({0, 1, true, {}});
  EXPECT_NEAR(sum, 8 * mean, 1e-5 * sum);
  EXPECT_NEAR(total({0.5, 3, false, {}}), 0.5 * text + 3 * mean, 1e-5 * sum);
  const std::vector<double> first_alone = {1, 0, 0, 0, 0, 0, 0, 0}, others_alone = {0, 1, 1, 1, 1, 1, 1, 1};
  const double first = total({0, 1, true, first_alone});
  EXPECT_NEAR(total({0, 1, false, first_alone}), first, 1e-5 * sum) << "a mean of one";
  EXPECT_NEAR(total({0, 1, true, others_alone}) + first, sum, 1e-5 * sum);
}

}  // namespace
}  // namespace higgs
