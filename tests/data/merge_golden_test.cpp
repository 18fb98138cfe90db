// Packing beside boson_multimodal's ChatMLDatasetSample.merge and cal_num_tokens (goldens
// boson/collator/merge). This program has neither: pack() lays samples behind each other without the
// separator and the padding that merge() puts between and behind them, and counts the rows that the model
// really sees.
#include <gtest/gtest.h>

#include "data/collate_case.h"
#include "higgs/base/json.h"
#include "higgs/data/pack.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kAudioIn = 128015, kAudioOut = 128016, kEos = 128001;

class MergeGolden : public ::testing::Test {
 protected:
  MergeGolden() {
    for (std::size_t i = 0; i < 3; ++i) samples.push_back(stored_sample(file, i));
  }

  PackedBatch packed(std::vector<std::size_t> which, bool audio_in) const {
    std::vector<const EncodedSample*> pointers;
    for (const std::size_t i : which) pointers.push_back(&samples[i]);
    CollateOptions options;
    options.audio_in_id = kAudioIn;
    options.audio_out_id = kAudioOut;
    options.pad_id = kEos;
    options.return_audio_in_tokens = audio_in;
    return pack(collate(pointers, options), {kAudioIn, kAudioOut, 8});
  }

  SafetensorsFile file{golden("boson/collator/merge.safetensors")};
  std::vector<EncodedSample> samples;
};

Ids values(const at::Tensor& tensor) {
  const auto* begin = tensor.const_data_ptr<std::int64_t>();
  return {begin, begin + tensor.numel()};
}

TEST_F(MergeGolden, PackedSamplesAreTheMergedOneWithoutSeparatorsAndPadding) {
  const Ids merged_ids = file.integers("merged.input_ids"), merged_labels = file.integers("merged.label_ids");
  ASSERT_EQ(merged_ids.size(), 83u + 1 + 52 + 1 + 31 + 5);
  Ids text_ids, text_labels;
  for (std::size_t i = 0; i < merged_ids.size(); ++i) {
    if (merged_ids[i] == kEos) {  // no text of these samples holds it
      EXPECT_EQ(merged_labels[i], kIgnore);
    } else if (merged_ids[i] != kAudioIn && merged_ids[i] != kAudioOut) {
      text_ids.push_back(merged_ids[i]);
      text_labels.push_back(merged_labels[i]);
    }
  }
  const PackedBatch batch = packed({0, 1, 2}, true);
  EXPECT_EQ(values(batch.text_ids), text_ids);
  EXPECT_EQ(values(batch.text_labels.index_select(0, batch.text_rows)), text_labels);
  // Each clip's codes, found again under its BOS column and delay.
  const IdMatrix codes = stored_matrix(file, "merged.audio_ids_concat");
  const Ids starts = file.integers("merged.audio_ids_start");
  std::int64_t row = 0;
  for (std::size_t clip = 0; clip < starts.size(); ++clip) {
    const std::int64_t end = clip + 1 < starts.size() ? starts[clip + 1] : codes.cols;
    for (std::int64_t t = starts[clip]; t < end; ++t) {
      for (std::int64_t k = 0; k < 8; ++k) {
        EXPECT_EQ(batch.audio_ids[row + 1 + k + t - starts[clip]][k].item<std::int64_t>(), codes.at(k, t));
      }
    }
    row += end - starts[clip] + 9;
  }
  EXPECT_EQ(row, batch.audio_ids.size(0));
}

// The reference counts codes alone. A clip of T frames takes T + 9 positions: BOS, EOS and the delay.
TEST_F(MergeGolden, RowsAreTheReferencesTokensAndNineMoreForEachClip) {
  int compared = 0;
  for (const Json& entry :
       parse_json(text_of(golden("boson/collator/cal_num_tokens.json")), "cal_num_tokens.json")) {
    // Whisper features are for models with an audio tower. Without audio-out tokens no clip would be learnt.
    if (entry.at("encode_whisper_embed") || !entry.at("encode_audio_out_tokens")) continue;
    SCOPED_TRACE(entry.dump());
    const bool audio_in = entry.at("encode_audio_in_tokens");
    const std::size_t sample = entry.at("sample");
    std::int64_t clips = 0;
    for (const std::int64_t id : samples[sample].input_ids)
      clips += id == kAudioOut || (audio_in && id == kAudioIn);
    EXPECT_EQ(packed({sample}, audio_in).num_rows, entry.at("value").get<std::int64_t>() + 9 * clips);
    ++compared;
  }
  EXPECT_EQ(compared, 6);
}

}  // namespace
}  // namespace higgs::test
