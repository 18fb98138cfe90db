// What boson_multimodal's HiggsAudioSampleCollator and delay pattern made of given samples.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/collate_case.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

// The reference masks <|AUDIO_OUT|> labels in the samples themselves (after.I.label_ids), so that the next
// epoch finds no clip to supervise. Ours masks a copy: its rows are those labels, and the samples stay as
// they were.
int expect_labels_as_after_the_call(const CollatedBatch& batch, const SafetensorsFile& file, bool pad_left) {
  int compared = 0;
  for (std::int64_t i = 0; i < batch.input_ids.rows; ++i) {
    const std::string name = "after." + std::to_string(i) + ".label_ids";
    if (!file.contains(name)) continue;
    const Ids after = file.integers(name);
    const auto row = batch.label_ids->values.begin() + i * batch.label_ids->cols;
    const auto begin = pad_left ? row + batch.label_ids->cols - std::ssize(after) : row;
    EXPECT_EQ(Ids(begin, begin + std::ssize(after)), after) << name;
    EXPECT_NE(after, file.integers("in." + std::to_string(i) + ".label_ids"));
    ++compared;
  }
  return compared;
}

void expect_unchanged(const EncodedSample& sample, const EncodedSample& before) {
  EXPECT_EQ(sample.input_ids, before.input_ids);
  EXPECT_EQ(sample.label_ids, before.label_ids);
  ASSERT_EQ(sample.codes.size(), before.codes.size());
  for (std::size_t i = 0; i < before.codes.size(); ++i) {
    EXPECT_EQ(sample.codes[i].values, before.codes[i].values);
  }
}

TEST(CollateGolden, EveryFieldOfEveryBatchIsTheReferencesAndNoSampleIsChanged) {
  const Json index = parse_json(read_file(golden("boson/collator/index.json")), "index.json");
  int equal = 0;
  int refused = 0;
  int masked = 0;
  for (const Json& entry : index) {
    const std::string name = entry.at("name");
    if (name.rfind("whisper_", 0) == 0) continue;  // see collate_whisper_golden_test.cpp
    SCOPED_TRACE(name);
    const SafetensorsFile file(golden("boson/collator/cases/" + name + ".safetensors"));
    std::vector<EncodedSample> samples;
    for (std::size_t i = 0; i < entry.at("batch").get<std::size_t>(); ++i) {
      samples.push_back(stored_sample(file, i));
    }
    std::vector<const EncodedSample*> pointers;
    for (const EncodedSample& sample : samples) pointers.push_back(&sample);
    const CollateOptions options = options_of(entry.at("params"));
    if (entry.at("status") == "raises") {
      ++refused;
      EXPECT_NE(user_error([&] { collate(pointers, options); }), "");
      continue;
    }
    ++equal;
    for (int call = 0; call < 2; ++call) {
      const CollatedBatch batch = collate(pointers, options);
      expect_batch(batch, file, entry);
      masked += expect_labels_as_after_the_call(batch, file, options.pad_left);
    }
    for (std::size_t i = 0; i < samples.size(); ++i) expect_unchanged(samples[i], stored_sample(file, i));
  }
  EXPECT_EQ(equal, 35);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(masked, 2 * 39);
}

TEST(DelayPatternGolden, AppliedAndUndoneAsInTheReference) {
  const SafetensorsFile file(golden("boson/collator/delay_pattern.safetensors"));
  int compared = 0;
  for (const auto& [name, view] : file.tensors()) {
    if (!name.ends_with(".in") || name.rfind("revert", 0) == 0) continue;
    SCOPED_TRACE(name);
    const std::string stem = name.substr(0, name.size() - 3);
    const std::int64_t batch = view.shape.at(0), rows = view.shape.at(1), cols = view.shape.at(2);
    const Ids in = file.integers(name);
    const Ids out = file.integers(stem + ".out");
    const Ids mask = file.integers(stem + ".gen_mask");
    const std::int64_t width = cols + rows - 1;
    for (std::int64_t b = 0; b < batch; ++b) {
      IdMatrix codes(rows, cols);
      std::copy_n(in.begin() + b * rows * cols, rows * cols, codes.values.begin());
      const IdMatrix delayed = apply_delay_pattern(codes, 1024, 1025);
      EXPECT_EQ(delayed.cols, width);
      const Ids expected(out.begin() + b * rows * width, out.begin() + (b + 1) * rows * width);
      EXPECT_EQ(delayed.values, expected);
      // The mask that the reference generates by: -1 where a code is still to come.
      const Ids to_come(mask.begin() + b * rows * width, mask.begin() + (b + 1) * rows * width);
      EXPECT_EQ(apply_delay_pattern(codes, 1024, -1).values, to_come);
      const Ids straight = revert_delay_pattern(delayed).values;
      EXPECT_EQ(straight, codes.values);
      if (b == 0) {
        EXPECT_EQ(straight, file.integers(stem + ".reverted_0"));
      }
    }
    ++compared;
  }
  EXPECT_EQ(compared, 9);
  EXPECT_EQ(apply_delay_pattern(IdMatrix(8, 0), 1024, 1025).values, file.integers("empty.out"));
  for (const std::string stem : {"revert_arbitrary", "revert_min"}) {
    const IdMatrix reverted = revert_delay_pattern(stored_matrix(file, stem + ".in"));
    EXPECT_EQ(reverted.cols, stored_matrix(file, stem + ".out").cols);
    EXPECT_EQ(reverted.values, file.integers(stem + ".out"));
  }
  EXPECT_EQ(file.integers("revert_too_short.raises"), Ids{1});
  EXPECT_NE(user_error([&] { revert_delay_pattern(stored_matrix(file, "revert_too_short.in")); }), "");
}

}  // namespace
}  // namespace higgs::test
