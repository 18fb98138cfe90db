// Cases of goldens boson/collator: samples as ChatMLDatasetSample's fields hold them, parameters, and the
// batch that the reference made of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/data/collate.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {

using Ids = std::vector<std::int64_t>;

inline IdMatrix stored_matrix(const SafetensorsFile& file, const std::string& name) {
  const std::vector<std::int64_t>& shape = file.at(name).shape;
  IdMatrix result(shape.at(shape.size() - 2), shape.back());
  result.values = file.integers(name);
  return result;
}

// Clip `index` of a sample whose clips lie side by side.
inline Codes stored_clip(const IdMatrix& all, const std::vector<std::int64_t>& starts, std::size_t index) {
  const std::int64_t end = index + 1 < starts.size() ? starts[index + 1] : all.cols;
  Codes codes{all.rows, end - starts[index], {}};
  for (std::int64_t k = 0; k < all.rows; ++k) {
    for (std::int64_t t = starts[index]; t < end; ++t) {
      codes.values.push_back(static_cast<std::int16_t>(all.at(k, t)));
    }
  }
  return codes;
}

// The sample stored as in.INDEX.*
inline EncodedSample stored_sample(const SafetensorsFile& file, std::size_t index) {
  const std::string in = "in." + std::to_string(index) + ".";
  EncodedSample sample;
  sample.input_ids = file.integers(in + "input_ids");
  if (file.contains(in + "label_ids")) sample.label_ids = file.integers(in + "label_ids");
  const std::vector<std::int64_t> starts = file.integers(in + "audio_ids_start");
  for (std::size_t i = 0; i < starts.size(); ++i) {
    sample.codes.push_back(stored_clip(stored_matrix(file, in + "audio_ids_concat"), starts, i));
    if (file.contains(in + "audio_label_ids_concat")) {
      sample.label_codes.push_back(
          stored_clip(stored_matrix(file, in + "audio_label_ids_concat"), starts, i));
    }
  }
  return sample;
}

inline CollateOptions options_of(const Json& params) {
  CollateOptions options;
  options.audio_in_id = params.at("audio_in_token_id");
  options.audio_out_id = params.at("audio_out_token_id");
  options.pad_id = params.at("pad_token_id");
  options.stream_bos_id = params.at("audio_stream_bos_id");
  options.stream_eos_id = params.at("audio_stream_eos_id");
  options.round_to = params.at("round_to");
  options.pad_left = params.value("pad_left", false);
  options.return_audio_in_tokens = params.at("return_audio_in_tokens");
  if (!params.at("audio_num_codebooks").is_null()) options.num_codebooks = params.at("audio_num_codebooks");
  options.use_delay_pattern = params.at("use_delay_pattern");
  options.disable_codes_transform = params.value("disable_audio_codes_transform", false);
  options.mask_audio_out_label = params.value("mask_audio_out_token_label", true);
  return options;
}

inline void expect_field(const std::optional<IdMatrix>& field, const SafetensorsFile& file,
                         const std::string& name) {
  SCOPED_TRACE(name);
  ASSERT_EQ(field.has_value(), file.contains("out." + name));
  if (!field) return;
  const IdMatrix expected = stored_matrix(file, "out." + name);
  EXPECT_EQ(field->rows, expected.rows);
  EXPECT_EQ(field->cols, expected.cols);
  EXPECT_EQ(field->values, expected.values);
}

inline void expect_field(const std::optional<Ids>& field, const SafetensorsFile& file,
                         const std::string& name) {
  SCOPED_TRACE(name);
  ASSERT_EQ(field.has_value(), file.contains("out." + name));
  if (!field) return;
  EXPECT_EQ(*field, file.integers("out." + name));
}

inline std::int64_t supervised_codes(const CollatedBatch& batch) {
  return std::ranges::count_if(batch.label_audio_ids->values, [](std::int64_t id) { return id != kIgnore; });
}

inline void expect_batch(const CollatedBatch& batch, const SafetensorsFile& file, const Json& entry) {
  expect_field(batch.input_ids, file, "input_ids");
  expect_field(batch.attention_mask, file, "attention_mask");
  expect_field(batch.label_ids, file, "label_ids");
  expect_field(batch.audio_out_ids, file, "audio_out_ids");
  expect_field(batch.audio_out_ids_start, file, "audio_out_ids_start");
  expect_field(batch.audio_out_ids_start_group_loc, file, "audio_out_ids_start_group_loc");
  expect_field(batch.audio_in_ids, file, "audio_in_ids");
  expect_field(batch.audio_in_ids_start, file, "audio_in_ids_start");
  // The reference masks labels in its inputs, so that a second call finds no clip to supervise: of such a
  // pair of calls, which shows the second one's batch, ours must be like the first.
  const bool called_twice = entry.contains("first_call_trainable_audio_labels");
  if (called_twice) {
    EXPECT_EQ(supervised_codes(batch), entry.at("first_call_trainable_audio_labels"));
  }
  if (called_twice && entry.at("second_call_trainable_audio_labels") == 0) {
    const Ids labels = file.integers("out.label_audio_ids");
    EXPECT_EQ(std::ranges::count(labels, kIgnore), std::ssize(labels));
    return;
  }
  expect_field(batch.label_audio_ids, file, "label_audio_ids");
}

}  // namespace higgs::test
