// Manifest to gradients against boson_multimodal (goldens e2e): what a user's data becomes, number for
// number.
#include <ATen/TensorIndexing.h>
#include <gtest/gtest.h>

#include "higgs/data/dataset.h"
#include "higgs/model/adapter.h"
#include "higgs/model/special_ids.h"
#include "higgs/train/objective.h"
#include "support/paths.h"
#include "support/torch_compare.h"

namespace higgs {
namespace {

using at::indexing::Ellipsis;
using at::indexing::Slice;
using test::golden;
using test::relative_difference;

class E2eGolden : public ::testing::Test {
 protected:
  E2eGolden()
      : expected(golden("e2e/expected.safetensors")),
        tokenizer(load_tokenizer(golden("hf/model"))),
        model(golden("hf/model"), at::kFloat, at::kCPU),
        ids(special_ids(model.config(), *tokenizer)) {
    CodeStore store([]() -> std::unique_ptr<AudioTokenizer> { return nullptr; }, "", ids.num_codebooks,
                    ids.codebook_size);
    dataset = Dataset::load(golden("e2e/manifest.jsonl"), *tokenizer, store, ids, {});
    std::vector<const EncodedSample*> samples;
    for (std::size_t i = 0; i < dataset.size(); ++i) samples.push_back(&dataset.sample(i));
    batch = make_batch(samples, ids, 0);
    counts.add(batch);
  }

  at::Tensor want(const std::string& name) { return test::load(expected, name); }

  void compare_outputs(const std::string& prefix) {
    const at::Tensor hidden = model.forward(batch);
    EXPECT_LT(relative_difference(hidden, want(prefix + "/hidden")), 2e-5);
    EXPECT_LT(relative_difference(model.text_logits(hidden).index({Slice(), Slice(0, {}, 8)}),
                                  want(prefix + "/text_logits_every_8th")),
              2e-5);
    const at::Tensor audio = model.audio_logits(hidden.index_select(0, batch.audio_out_rows));
    EXPECT_LT(relative_difference(audio.index({Ellipsis, Slice(0, {}, 8)}),
                                  want(prefix + "/audio_logits_every_8th")),
              2e-5);
    LossMeter meter(8);
    meter.add(loss_sums(model, batch, hidden, true));
    const LossValues values = meter.values(counts, {});
    EXPECT_NEAR(values.total, want(prefix + "/loss").item<double>(), 1e-5 * values.total);
    EXPECT_NEAR(values.text, want(prefix + "/loss_text").item<double>(), 1e-5 * values.text);
    const at::Tensor codebooks = want(prefix + "/loss_audio");
    for (int k = 0; k < 8; ++k) {
      EXPECT_NEAR(values.codebooks[k], codebooks[k].item<double>(), 1e-5 * values.codebooks[k])
          << "codebook " << k;
    }
  }

  SafetensorsFile expected;
  std::unique_ptr<Tokenizer> tokenizer;
  HiggsModel model;
  SpecialIds ids;
  Dataset dataset;
  PackedBatch batch;
  TargetCounts counts{8};
};

TEST_F(E2eGolden, LabelsStandAtTheirOwnPositions) {
  EXPECT_TRUE(batch.text_labels.equal(want("text_labels")));
  EXPECT_TRUE(batch.audio_labels.equal(want("audio_labels")));
}

TEST_F(E2eGolden, BaseOutputsAndLossesEqualTheReference) {
  compare_outputs("base");
}

TEST_F(E2eGolden, AdapterOutputsAndLossesEqualTheReference) {
  const Adapter adapter(model, golden("e2e/adapter_hf"));
  compare_outputs("adapter");
}

TEST_F(E2eGolden, GradientOfEveryAdapterTensorEqualsTheReference) {
  const Adapter adapter(model, golden("e2e/adapter_hf"));
  total_loss(loss_sums(model, batch, model.forward(batch), true), counts, {}).backward();
  std::size_t compared = 0;
  for (const AdapterTensor& tensor : adapter.tensors()) {
    // The golden's keys are those of the boson layout.
    std::string key = tensor.key;
    key.replace(key.find("model.model."), std::string("model.model.").size(), "model.");
    EXPECT_LT(relative_difference(tensor.grad, want("adapter/grad." + key)), 1e-4) << key;
    ++compared;
  }
  EXPECT_EQ(compared, 2u * 7u * 2u + 2u * 3u * 2u);
}

}  // namespace
}  // namespace higgs
