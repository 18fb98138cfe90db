// Manifest to gradients against boson_multimodal (goldens e2e): what a user's data becomes, number for
// number.
#include <ATen/TensorIndexing.h>
#include <gtest/gtest.h>

#include <numeric>

#include "higgs/data/batch_loader.h"
#include "higgs/model/adapter.h"
#include "higgs/model/layout.h"
#include "higgs/model/special_ids.h"
#include "higgs/train/objective.h"
#include "support/boson_layout.h"
#include "support/torch_compare.h"
#include "support/whole_golden.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::close;
using test::golden;
using test::kForwardTolerance;
using test::kLossTolerance;

// The two public layouts of one model.
class E2eGolden : public ::testing::TestWithParam<Layout> {
 protected:
  E2eGolden()
      : expected(test::whole_golden("e2e/expected.safetensors")),
        tokenizer(load_tokenizer(base())),
        model(base(), at::kFloat, at::kCPU),
        ids(special_ids(model.config(), *tokenizer)) {
    CodeStore store([]() -> std::unique_ptr<AudioTokenizer> { return nullptr; }, "", ids.num_codebooks,
                    ids.codebook_size);
    dataset = Dataset::load(golden("e2e/manifest.jsonl"), *tokenizer, store, ids, {});
    std::vector<std::size_t> samples(dataset.size());
    std::iota(samples.begin(), samples.end(), std::size_t{0});
    batch = make_batch(dataset, {samples, {}}, ids);
    counts.add(batch);
  }

  fs::path base() const {
    if (GetParam() == Layout::kHf) return golden("hf/model");
    if (!fs::exists(folder / "base")) test::write_boson_base(folder / "base");
    return folder / "base";
  }
  fs::path adapter_folder() const {
    if (GetParam() == Layout::kHf) return golden("e2e/adapter_hf");
    test::write_boson_adapter(folder / "adapter");
    return folder / "adapter";
  }

  at::Tensor want(const std::string& name) { return test::load(expected, name); }

  void compare_outputs(const std::string& prefix) {
    const at::Tensor hidden = model.forward(batch);
    EXPECT_TRUE(close_rows(hidden, expected, prefix + "/hidden", kForwardTolerance));
    EXPECT_TRUE(close_rows(model.text_logits(hidden).index({Slice(), Slice(0, {}, 8)}), expected,
                           prefix + "/text_logits_every_8th", kForwardTolerance));
    const at::Tensor audio = model.audio_logits(hidden.index_select(0, batch.audio_out_rows));
    EXPECT_TRUE(close_rows(audio.index({Ellipsis, Slice(0, {}, 8)}), expected,
                           prefix + "/audio_logits_every_8th", kForwardTolerance));
    LossMeter meter(8);
    meter.add(loss_sums(model, batch, hidden, true));
    const LossValues values = meter.values(counts, {});
    const auto expect_loss = [&](double ours, const at::Tensor& theirs, const std::string& name) {
      EXPECT_TRUE(close(ours, theirs.item<double>(), kLossTolerance, prefix + "/" + name));
    };
    expect_loss(values.total, want(prefix + "/loss"), "loss");
    expect_loss(values.text, want(prefix + "/loss_text"), "loss_text");
    const at::Tensor codebooks = want(prefix + "/loss_audio");
    for (int k = 0; k < 8; ++k) {
      expect_loss(values.codebooks[k], codebooks[k], "loss_audio of codebook " + std::to_string(k));
    }
  }

  test::TemporaryFolder folder;
  SafetensorsFile expected;
  std::unique_ptr<Tokenizer> tokenizer;
  HiggsModel model;
  SpecialIds ids;
  Dataset dataset;
  PackedBatch batch;
  TargetCounts counts{8};
};

TEST_P(E2eGolden, LabelsStandAtTheirOwnPositions) {
  EXPECT_TRUE(batch.text_labels.equal(want("text_labels")));
  EXPECT_TRUE(batch.audio_labels.equal(want("audio_labels")));
}

TEST_P(E2eGolden, BaseOutputsAndLossesEqualTheReference) {
  compare_outputs("base");
}

TEST_P(E2eGolden, AdapterOutputsAndLossesEqualTheReference) {
  const Adapter adapter(model, adapter_folder());
  compare_outputs("adapter");
}

TEST_P(E2eGolden, GradientOfEveryAdapterTensorEqualsTheReference) {
  const Adapter adapter(model, adapter_folder());
  total_loss(loss_sums(model, batch, model.forward(batch), true), counts, {}).backward();
  std::size_t compared = 0;
  for (const AdapterTensor& tensor : adapter.tensors()) {
    // The golden's keys are those of the boson layout.
    const std::string key = tensor.key.substr((kPeftPrefix + stored_name(GetParam(), "")).size());
    const std::string name = "adapter/grad.base_model.model." + key;
    EXPECT_TRUE(close(tensor.grad, want(name), test::kGradientTolerance, name));
    ++compared;
  }
  EXPECT_EQ(compared, 2u * 7u * 2u + 2u * 3u * 2u);
}

INSTANTIATE_TEST_SUITE_P(Both, E2eGolden, ::testing::Values(Layout::kHf, Layout::kBoson),
                         [](const auto& layout) { return layout.param == Layout::kHf ? "Hf" : "Boson"; });

}  // namespace
}  // namespace higgs
