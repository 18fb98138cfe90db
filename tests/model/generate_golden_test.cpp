// Greedy generation against boson_multimodal (goldens boson/generate), frame by frame. Prompts whose answer
// is text are left out: this program voices clips only.
#include <gmock/gmock.h>

#include "higgs/model/generate.h"
#include "higgs/model/higgs_model.h"
#include "higgs/model/special_ids.h"
#include "support/golden_batch.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::golden;

// The prompt as it was before the reference's collator: codes without BOS, EOS and delay.
EncodedSample prompt_of(const SafetensorsFile& file, const std::string& run) {
  EncodedSample prompt;
  prompt.input_ids = file.integers(run + ".in.input_ids");
  const IdMatrix columns = test::matrix(file, run + ".in.audio_out_ids");
  if (columns.cols == 0) return prompt;
  Codes codes{columns.rows, columns.cols - columns.rows - 1, {}};
  for (std::int64_t k = 0; k < codes.num_codebooks; ++k) {
    for (std::int64_t t = 0; t < codes.num_frames; ++t) {
      codes.values.push_back(static_cast<std::int16_t>(columns.at(k, t + k + 1)));
    }
  }
  prompt.codes.push_back(codes);
  return prompt;
}

void compare(HiggsModel& model, const std::string& run, bool stops) {
  const SafetensorsFile file(golden("boson/generate/generate.safetensors"));
  SamplingOptions options;
  options.greedy = true;
  // The reference was given 60 columns: the frames asked for, and 9 more for the delay, BOS and EOS.
  const GeneratedClip clip =
      generate(model, prompt_of(file, run), special_ids(model.config()), options, 60 - 9);
  const IdMatrix want = test::matrix(file, run + ".audio_0");
  ASSERT_EQ(clip.columns.cols, want.cols);
  for (std::int64_t j = 0; j < want.cols; ++j) {
    for (std::int64_t k = 0; k < want.rows; ++k) {
      ASSERT_EQ(clip.columns.at(k, j), want.at(k, j)) << "codebook " << k << " of column " << j;
    }
  }
  EXPECT_EQ(clip.stopped, stops);
  const auto trimmed = file.integers(run + ".audio_0_reverted_clipped_trimmed");
  EXPECT_EQ(std::vector<std::int64_t>(clip.codes.values.begin(), clip.codes.values.end()), trimmed);
  EXPECT_EQ(clip.codes.num_frames, file.at(run + ".audio_0_reverted_clipped_trimmed").shape[1]);
}

TEST(GenerateGolden, SpeaksWithoutAReference) {
  HiggsModel model(golden("boson/model/base"), at::kFloat, at::kCPU);
  compare(model, "audio_prompt", false);
}

TEST(GenerateGolden, SpeaksAfterAReferenceClip) {
  HiggsModel model(golden("boson/model/base"), at::kFloat, at::kCPU);
  compare(model, "voice_clone_audio_prompt", false);
}

// The golden's model says EOS: row 1025 of its audio head (codebook 0's EOS) is multiplied by -2.
TEST(GenerateGolden, StopsAfterEos) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "config.json", test::text_of(golden("boson/model/base/config.json")));
  const SafetensorsFile base(golden("boson/model/base/model.safetensors"));
  std::vector<TensorToWrite> tensors;
  std::vector<at::Tensor> kept;
  for (const auto& [name, view] : base.tensors()) {
    kept.push_back(test::load(base, name));
    if (name == "audio_decoder_proj.audio_lm_head.weight") kept.back()[1025].mul_(-2);
    tensors.push_back({name,
                       view.dtype,
                       view.shape,
                       {static_cast<const std::byte*>(kept.back().const_data_ptr()), view.bytes.size()}});
  }
  write_safetensors(folder / "model.safetensors", tensors);
  HiggsModel model(folder.path(), at::kFloat, at::kCPU);
  compare(model, "audio_prompt_with_eos", true);
}

}  // namespace
}  // namespace higgs
