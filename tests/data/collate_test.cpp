#include "higgs/data/collate.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs::test {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kIn = 500;
constexpr std::int64_t kOut = 501;

CollateOptions test_options() {
  CollateOptions options;
  options.audio_in_id = kIn;
  options.audio_out_id = kOut;
  options.pad_id = 9;
  return options;
}

Codes counting_codes(std::int64_t codebooks, std::int64_t frames, int first = 0) {
  Codes codes{codebooks, frames, {}};
  for (std::int64_t i = 0; i < codebooks * frames; ++i) {
    codes.values.push_back(static_cast<std::int16_t>(first + i));
  }
  return codes;
}

// One clip in, two out of which the second is supervised.
EncodedSample test_sample() {
  EncodedSample sample;
  sample.input_ids = {1, kIn, 2, kOut, 3, kOut, 4};
  sample.label_ids = Ids{-100, -100, -100, -100, 3, kOut, 4};
  sample.codes = {counting_codes(3, 2), counting_codes(3, 4, 100), counting_codes(3, 1, 200)};
  sample.where = "m:5";
  return sample;
}

CollatedBatch collate_all(const std::vector<EncodedSample>& samples, const CollateOptions& options) {
  std::vector<const EncodedSample*> pointers;
  for (const EncodedSample& sample : samples) pointers.push_back(&sample);
  return collate(pointers, options);
}

IdMatrix columns(const IdMatrix& all, std::int64_t begin, std::int64_t end) {
  IdMatrix part(all.rows, end - begin);
  for (std::int64_t k = 0; k < all.rows; ++k) {
    for (std::int64_t t = begin; t < end; ++t) part.at(k, t - begin) = all.at(k, t);
  }
  return part;
}

TEST(Collate, AClipIsItsFramesBetweenBosAndEosUnderTheDelay) {
  const CollatedBatch batch = collate_all({test_sample()}, test_options());
  ASSERT_EQ(batch.audio_out_ids_start, (Ids{0, 8}));
  EXPECT_EQ(batch.audio_out_ids.cols, 8 + 5);
  IdMatrix framed(3, 6);
  const Codes codes = counting_codes(3, 4, 100);
  for (std::int64_t k = 0; k < 3; ++k) {
    framed.at(k, 0) = 1024;
    for (std::int64_t t = 0; t < 4; ++t) framed.at(k, t + 1) = codes.at(k, t);
    framed.at(k, 5) = 1025;
  }
  EXPECT_EQ(columns(batch.audio_out_ids, 0, 8).values, apply_delay_pattern(framed, 1024, 1025).values);
}

TEST(Collate, OnlyASupervisedClipHasLabelsAndEachCodebookItsEnd) {
  const CollatedBatch batch = collate_all({test_sample()}, test_options());
  ASSERT_TRUE(batch.label_audio_ids);
  EXPECT_EQ(columns(*batch.label_audio_ids, 0, 8).values, Ids(3 * 8, kIgnore));
  EXPECT_EQ(columns(*batch.label_audio_ids, 8, 13).values, (Ids{-100, 200, 1025, -100, -100,  //
                                                                -100, -100, 201, 1025, -100,  //
                                                                -100, -100, -100, 202, 1025}));
}

TEST(Collate, TheSampleKeepsItsLabelsForTheNextEpoch) {
  const std::vector<EncodedSample> samples = {test_sample()};
  const CollatedBatch first = collate_all(samples, test_options());
  const CollatedBatch second = collate_all(samples, test_options());
  EXPECT_EQ(samples[0].label_ids, test_sample().label_ids);
  EXPECT_EQ(first.label_ids->at(0, 5), kIgnore);
  EXPECT_EQ(first.label_ids->values, second.label_ids->values);
  EXPECT_EQ(first.label_audio_ids->values, second.label_audio_ids->values);
}

TEST(Collate, AnEmptyClipHasOnlyItsMarks) {
  EncodedSample sample;
  sample.input_ids = {kOut};
  sample.codes = {Codes{2, 0, {}}};
  const CollatedBatch batch = collate_all({sample}, test_options());
  EXPECT_EQ(batch.audio_out_ids.values, (Ids{1024, 1025, 1025, 1024, 1024, 1025}));
  EXPECT_FALSE(batch.label_ids);
  EXPECT_FALSE(batch.label_audio_ids);
}

TEST(Collate, AModelWithoutAnAudioInTokenHasNoAudioIn) {
  CollateOptions options = test_options();
  options.audio_in_id = -1;
  EncodedSample sample = test_sample();
  sample.input_ids[1] = 7;
  sample.codes.erase(sample.codes.begin());
  const CollatedBatch batch = collate_all({sample}, options);
  EXPECT_EQ(batch.audio_in_ids->cols, 0);
  EXPECT_EQ(batch.audio_out_ids_start.size(), 2u);
}

TEST(Collate, ClipsAndPlaceholdersThatDifferInNumberAreRefused) {
  EncodedSample sample = test_sample();
  sample.codes.pop_back();
  EXPECT_EQ(user_error([&] { collate_all({sample}, test_options()); }).find("m:5: 3 <|AUDIO|> or"), 0u);
  sample.codes.resize(4, counting_codes(3, 1));
  EXPECT_EQ(user_error([&] { collate_all({sample}, test_options()); }).find("m:5: 3 <|AUDIO|> or"), 0u);
}

TEST(Collate, ClipsThatDifferInCodebooksAreRefused) {
  EncodedSample sample = test_sample();
  sample.codes[2] = counting_codes(2, 4);
  EXPECT_EQ(user_error([&] { collate_all({sample}, test_options()); }),
            "m:5: clip 3 has 2 codebooks where 3 are needed; encode it with the model's own audio tokenizer");
  CollateOptions options = test_options();
  options.num_codebooks = 8;
  EXPECT_EQ(user_error([&] { collate_all({test_sample()}, options); }),
            "m:5: clip 2 has 3 codebooks where 8 are needed; encode it with the model's own audio tokenizer");
}

TEST(Collate, ABatchOfSamplesWithAndWithoutLabelsIsRefused) {
  EncodedSample bare = test_sample();
  bare.label_ids.reset();
  EXPECT_NE(user_error([&] {
              collate_all({test_sample(), bare}, test_options());
            }).find("labels"),
            std::string::npos);
}

TEST(Collate, CodesTakenAsTheyAreNeedLabelsOfTheirShape) {
  CollateOptions options = test_options();
  options.disable_codes_transform = true;
  EncodedSample sample = test_sample();
  sample.label_codes = sample.codes;
  const CollatedBatch batch = collate_all({sample}, options);
  EXPECT_EQ(columns(*batch.label_audio_ids, 4, 5).values, (Ids{200, 201, 202}));
  sample.label_codes[2] = counting_codes(3, 2);
  EXPECT_EQ(user_error([&] { collate_all({sample}, options); }).find("m:5: clip 3 needs label codes"), 0u);
}

}  // namespace
}  // namespace higgs::test
