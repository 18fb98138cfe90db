// Samples as boson_multimodal's ChatMLDatasetSample fields hold them (goldens boson/collator).
#pragma once

#include <string>
#include <vector>

#include "higgs/data/collate.h"
#include "higgs/formats/safetensors.h"

namespace higgs::test {

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

}  // namespace higgs::test
