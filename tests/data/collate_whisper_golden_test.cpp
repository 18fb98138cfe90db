// The collator's Whisper branch against boson_multimodal with transformers' WhisperFeatureExtractor. All
// waves are noise; the larger cases are not in the repository.
#include <gmock/gmock.h>

#include <cmath>

#include "data/collate_case.h"
#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

// Both compute the transform in another order: the reference in float32, this program in double.
constexpr double kTolerance = 1e-5;

fs::path case_file(const std::string& name) {
  const std::string path = "goldens/boson/collator/cases/" + name + ".safetensors";
  const fs::path ours = golden(path.substr(8));
  if (fs::exists(ours)) return ours;
  return external(path).value_or(fs::path());
}

// Clip i of the sample; its placeholder is the i-th <|AUDIO|>.
void add_waves(const SafetensorsFile& file, std::size_t index, const Json& entry,
               const CollateOptions& options, EncodedSample& sample) {
  const std::string in = "in." + std::to_string(index) + ".";
  std::vector<float> all;
  if (file.contains(in + "audio_waveforms_concat")) {
    all = file.floats(in + "audio_waveforms_concat");
  } else {
    // "... in.0.waveform_segment (8000 samples) repeated and cut to 500800 samples"
    const std::string rule = entry.at("waveform_rule");
    const std::vector<float> segment = file.floats(in + "waveform_segment");
    all.resize(std::stoul(rule.substr(rule.find("cut to ") + 7)));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = segment[i % segment.size()];
  }
  const Ids starts = file.integers(in + "audio_waveforms_start");
  std::vector<float> rates = file.floats(in + "audio_sample_rate");
  std::size_t wave = 0;
  for (const std::int64_t id : sample.input_ids) {
    if (id != options.audio_in_id && id != options.audio_out_id) continue;
    HeardClip& clip = sample.heard.emplace_back();
    if (id == options.audio_out_id) continue;
    const auto begin = static_cast<std::size_t>(starts.at(wave));
    const auto end = wave + 1 < starts.size() ? static_cast<std::size_t>(starts[wave + 1]) : all.size();
    const std::vector<float> samples =
        resample_soxr(std::span(all).subspan(begin, end - begin), static_cast<int>(rates.at(wave)), 16000);
    ++wave;
    clip.num_samples = static_cast<std::int64_t>(samples.size());
    clip.read = [samples] { return samples; };
  }
}

// Frames FIRST, FIRST + STEP, ... of all chunks against a stored field.
double largest_difference(const AudioFeatures& features, std::int64_t step, const std::vector<float>& want) {
  double largest = 0;
  std::size_t next = 0;
  const std::int64_t stop = step == 1 ? 16 : features.num_frames;
  for (std::size_t row = 0; row < features.num_valid.size() * static_cast<std::size_t>(features.num_mels);
       ++row) {
    for (std::int64_t t = 0; t < stop; t += step) {
      const float got =
          features.values[row * static_cast<std::size_t>(features.num_frames) + static_cast<std::size_t>(t)];
      largest = std::max(largest, std::abs(static_cast<double>(got) - static_cast<double>(want.at(next++))));
    }
  }
  EXPECT_EQ(next, want.size());
  return largest;
}

void expect_case(const Json& entry, const fs::path& path) {
  const SafetensorsFile file(path);
  CollateOptions options = options_of(entry.at("params"));
  options.whisper.emplace();
  if (entry.at("params").contains("chunk_size_seconds")) {
    options.whisper->chunk_samples =
        static_cast<std::int64_t>(entry.at("params").at("chunk_size_seconds").get<double>() * 16000);
  }
  std::vector<EncodedSample> samples;
  for (std::size_t i = 0; i < entry.at("batch").get<std::size_t>(); ++i) {
    samples.push_back(stored_sample(file, i));
    add_waves(file, i, entry, options, samples.back());
  }
  std::vector<const EncodedSample*> pointers;
  for (const EncodedSample& sample : samples) pointers.push_back(&sample);
  if (entry.at("status") == "raises") {
    EXPECT_THAT(user_error([&] { collate(pointers, options); }), ::testing::HasSubstr("heard (<|AUDIO|>)"));
    return;
  }
  const CollatedBatch batch = collate(pointers, options);
  expect_batch(batch, file, entry);
  ASSERT_TRUE(batch.audio_features);
  EXPECT_EQ(batch.audio_features->num_valid, file.integers("out.audio_feature_attention_mask_sum"));
  double difference = largest_difference(*batch.audio_features, 1, file.floats("out.audio_features_first16"));
  if (const std::string more = "out.audio_features_every_200th"; file.contains(more)) {
    difference = std::max(difference, largest_difference(*batch.audio_features, 200, file.floats(more)));
  }
  EXPECT_LT(difference, kTolerance);
  ::testing::Test::RecordProperty("largest_difference_" + entry.at("name").get<std::string>(),
                                  std::to_string(difference));
}

TEST(CollateWhisperGolden, EveryFieldIsTheReferences) {
  const Json index = parse_json(read_file(golden("boson/collator/index.json")), "index.json");
  int compared = 0, absent = 0;
  for (const Json& entry : index) {
    const std::string name = entry.at("name");
    if (name.rfind("whisper_", 0) != 0) continue;
    SCOPED_TRACE(name);
    const fs::path path = case_file(name);
    ++(path.empty() ? absent : compared);
    if (!path.empty()) expect_case(entry, path);
  }
  EXPECT_GE(compared, 4);
  EXPECT_EQ(compared + absent, 9);
  if (absent > 0) GTEST_SKIP() << absent << " cases need HIGGS_TEST_DATA; " << compared << " were equal";
}

}  // namespace
}  // namespace higgs::test
