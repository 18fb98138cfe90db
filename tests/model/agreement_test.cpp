// The self-test of training: it holds where generation and training agree, and fails where they don't.
#include "higgs/model/agreement.h"

#include <gtest/gtest.h>

#include <limits>

#include "higgs/model/adapter.h"
#include "higgs/model/special_ids.h"
#include "support/golden_batch.h"
#include "support/train_case.h"

namespace higgs {
namespace {

using test::golden;

PackedBatch batch_for(const HiggsModel& model, const std::vector<std::size_t>& which) {
  static const std::vector<EncodedSample> samples = test::hf_samples();
  return test::batch_of(samples, which, special_ids(model.config()));
}

class AgreementIn : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  AgreementIn()
      : model(golden("hf/model"), GetParam(), at::kCPU), adapter(model, golden("hf/adapter_lora")) {}
  HiggsModel model;
  Adapter adapter;
};

// 1e-5: another order of the same float32 sums; in bf16 too, where weights are widened.
TEST_P(AgreementIn, IsExactInFloat32) {
  for (const std::vector<std::size_t>& which :
       std::vector<std::vector<std::size_t>>{{0}, {1, 2}, {3, 4, 5}}) {
    const Agreement agreement = compare_forwards(model, batch_for(model, which), /*wide=*/true);
    EXPECT_TRUE(agreement.holds()) << agreement.summary();
    EXPECT_LE(agreement.num_positions, 32);
    EXPECT_GT(agreement.text.num_choices, 0);
    EXPECT_GE(agreement.audio.num_choices, 16 * 8);
    EXPECT_LT(agreement.audio.largest_difference, 1e-5 * agreement.audio.largest_logit);
    EXPECT_LT(agreement.text.largest_difference, 1e-5 * agreement.text.largest_logit);
  }
}

TEST_P(AgreementIn, HoldsInTheModelsOwnType) {
  for (std::size_t i = 0; i < 6; ++i) {
    const Agreement agreement = compare_forwards(model, batch_for(model, {i}), /*wide=*/false);
    EXPECT_EQ(agreement.exact, GetParam() == at::kFloat);
    EXPECT_TRUE(agreement.holds()) << agreement.summary();
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AgreementIn, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return type.param == at::kFloat ? "Fp32" : "Bf16"; });

// 1e-5 as above, on boson bases whose layers pass over audio, and that hear clips.
TEST(Agreement, IsExactOnEveryKindOfBase) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [folder, name] : {std::pair{"fast_forward", "H"}, {"tower", "I"}}) {
      const std::string path = std::string("boson/model/") + folder;
      HiggsModel model(golden(path), dtype, at::kCPU);
      const SafetensorsFile file(golden(path + "_" + name + ".safetensors"));
      const PackedBatch batch = pack(test::boson_batch(file, std::string(name) + ".in."), {271, 272, 8});
      const Agreement agreement = compare_forwards(model, batch, /*wide=*/true);
      EXPECT_TRUE(agreement.holds()) << folder << " " << agreement.summary();
      EXPECT_GT(agreement.audio.num_choices, 8) << folder;
      EXPECT_LT(agreement.audio.largest_difference, 1e-5 * agreement.audio.largest_logit) << folder;
    }
  }
}

// Before a clip there is text, and both are compared; a batch without clips has its text compared.
TEST(Agreement, TextAloneIsComparedToo) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  EncodedSample text;
  text.input_ids = {1792, 5, 6, 7, 8, 9};
  const Agreement agreement =
      compare_forwards(model, test::batch_of({text}, {0}, special_ids(model.config())), true);
  EXPECT_EQ(agreement.num_positions, 6);
  EXPECT_EQ(agreement.text.num_choices, 6);
  EXPECT_EQ(agreement.audio.num_choices, 0);
  EXPECT_TRUE(agreement.holds());
}

TEST(Agreement, TheSampleThatSpeaksIsTaken) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  EncodedSample text;
  text.input_ids = {1792, 5, 6, 7, 8, 9};
  text.label_ids = {{kIgnore, 5, 6, 7, 8, 9}};
  const PackedBatch batch =
      test::batch_of({text, test::hf_samples()[0]}, {0, 1}, special_ids(model.config()));
  const Agreement agreement = compare_forwards(model, batch, true);
  EXPECT_GT(agreement.audio.num_choices, 0);
  EXPECT_TRUE(agreement.holds());
}

Agreement with_audio(bool exact, const HeadAgreement& head) {
  Agreement agreement;
  agreement.exact = exact;
  agreement.audio = head;
  return agreement;
}

TEST(Agreement, FailsBeyondItsBounds) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const HeadAgreement exact{100, 9e-5, 9e-5, 1.0, 0.3, 1.0}, rounded{100, 0.07, 0.01, 1.0, 0.3, 0.96};
  EXPECT_TRUE(with_audio(true, exact).holds());
  EXPECT_FALSE(with_audio(true, rounded).holds());
  EXPECT_TRUE(with_audio(false, rounded).holds());
  for (const double difference : {0.08, nan}) {
    HeadAgreement bad = rounded;
    bad.largest_difference = difference;
    EXPECT_FALSE(with_audio(false, bad).holds()) << difference;
    EXPECT_FALSE(with_audio(true, bad).holds()) << difference;
  }
  HeadAgreement far = rounded, other = rounded;
  far.rms_difference = 0.016;
  other.equal_argmax = 0.8;
  EXPECT_FALSE(with_audio(false, far).holds());
  EXPECT_FALSE(with_audio(false, other).holds());
}

}  // namespace
}  // namespace higgs
