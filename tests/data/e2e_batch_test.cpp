// From manifest lines to the collated batch, against the reference's own run over the same files.
#include <gtest/gtest.h>

#include <fstream>

#include "higgs/codec/codes.h"
#include "higgs/data/collate.h"
#include "higgs/formats/safetensors.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

using Ids = std::vector<std::int64_t>;

class EndToEnd : public testing::Test {
 protected:
  EndToEnd() : tokenizer_(load_tokenizer(golden("hf/model"))), expected_(golden("e2e/expected.safetensors")) {
    options_.audio_in_id = tokenizer_->id_of("<|AUDIO|>");
    options_.audio_out_id = tokenizer_->id_of("<|AUDIO_OUT|>");
    options_.pad_id = 1793;  // config.json of hf/model, as its stream ids are the defaults
    const SampleTokenizer samples(*tokenizer_);
    std::ifstream manifest(golden("e2e/manifest.jsonl"));
    for (std::string line; std::getline(manifest, line);) {
      const std::string where = "manifest.jsonl:" + std::to_string(tokenized_.size() + 1);
      tokenized_.push_back(samples.tokenize(parse_chatml(line, where), where));
      check_placeholders(tokenized_.back(), options_.audio_in_id, options_.audio_out_id, where);
    }
  }

  std::vector<EncodedSample> encoded() const {
    std::vector<EncodedSample> samples;
    for (const TokenizedSample& sample : tokenized_) {
      EncodedSample& added = samples.emplace_back();
      added.input_ids = sample.input_ids;
      added.label_ids = sample.label_ids;
      for (const AudioContent& audio : sample.audios) {
        added.codes.push_back(read_codes(golden("e2e") / audio.audio_url));
      }
    }
    return samples;
  }

  void expect_field(const IdMatrix& field, const std::string& name) const {
    SCOPED_TRACE(name);
    EXPECT_EQ((Ids{field.rows, field.cols}), expected_.at("collate/" + name).shape);
    EXPECT_EQ(field.values, expected_.integers("collate/" + name));
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  SafetensorsFile expected_;
  CollateOptions options_;
  std::vector<TokenizedSample> tokenized_;
};

TEST_F(EndToEnd, TokensAndLabelsOfEachLineAreTheReferences) {
  ASSERT_EQ(tokenized_.size(), 5u);
  for (std::size_t i = 0; i < tokenized_.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(tokenized_[i].input_ids, expected_.integers("tokens/input_ids." + std::to_string(i)));
    EXPECT_EQ(tokenized_[i].label_ids, expected_.integers("tokens/label_ids." + std::to_string(i)));
  }
  EXPECT_EQ(tokenized_[0].speaker, "a");
  EXPECT_EQ(tokenized_[2].speaker, "both");
  EXPECT_EQ(tokenized_[3].speaker, std::nullopt);
}

TEST_F(EndToEnd, TheBatchOfAllLinesIsTheReferences) {
  const std::vector<EncodedSample> samples = encoded();
  std::vector<const EncodedSample*> pointers;
  for (const EncodedSample& sample : samples) pointers.push_back(&sample);
  const CollatedBatch batch = collate(pointers, options_);
  expect_field(batch.input_ids, "input_ids");
  expect_field(batch.attention_mask, "attention_mask");
  ASSERT_TRUE(batch.label_ids && batch.label_audio_ids && batch.audio_in_ids && batch.audio_in_ids_start &&
              batch.audio_out_ids_start_group_loc);
  expect_field(*batch.label_ids, "label_ids");
  expect_field(batch.audio_out_ids, "audio_out_ids");
  expect_field(*batch.label_audio_ids, "label_audio_ids");
  expect_field(*batch.audio_in_ids, "audio_in_ids");
  EXPECT_EQ(batch.audio_out_ids_start, expected_.integers("collate/audio_out_ids_start"));
  EXPECT_EQ(*batch.audio_in_ids_start, expected_.integers("collate/audio_in_ids_start"));
  EXPECT_EQ(*batch.audio_out_ids_start_group_loc,
            expected_.integers("collate/audio_out_ids_start_group_loc"));
}

}  // namespace
}  // namespace higgs::test
