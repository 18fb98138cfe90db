// Greedy generation against boson_multimodal (goldens boson/generate), frame by frame and token by token. The
// repository keeps the runs with a dynamic cache; those with a static one equal them (index.json).
#include <ATen/TensorIndexing.h>
#include <ATen/ops/cat.h>
#include <gmock/gmock.h>

#include "higgs/model/generate.h"
#include "higgs/model/higgs_model.h"
#include "higgs/model/special_ids.h"
#include "support/golden_batch.h"
#include "support/process.h"
#include "support/whole_golden.h"

namespace higgs {
namespace {

using test::close;
using test::golden;
using test::kForwardTolerance;
using test::load;
using test::matrix;

using Ids = std::vector<std::int64_t>;

const fs::path& base_that_says_eos() {
  // The golden's: row 1025 of the audio head (codebook 0's EOS) is multiplied by -2.
  static const test::TemporaryFolder folder;
  if (fs::exists(folder / "config.json")) return folder.path();
  test::write_text(folder / "config.json", test::text_of(golden("boson/model/base/config.json")));
  const SafetensorsFile base(golden("boson/model/base/model.safetensors"));
  std::vector<TensorToWrite> tensors;
  std::vector<at::Tensor> kept;
  for (const auto& [name, view] : base.tensors()) {
    kept.push_back(load(base, name));
    if (name == "audio_decoder_proj.audio_lm_head.weight") kept.back()[1025].mul_(-2);
    tensors.push_back({name,
                       view.dtype,
                       view.shape,
                       {static_cast<const std::byte*>(kept.back().const_data_ptr()), view.bytes.size()}});
  }
  write_safetensors(folder / "model.safetensors", tensors);
  return folder.path();
}

HiggsModel& model_of(const Json& run) {
  static HiggsModel plain(golden("boson/model/base"), at::kFloat, at::kCPU);
  static HiggsModel with_eos(base_that_says_eos(), at::kFloat, at::kCPU);
  if (run.at("eos_row_scale").is_null()) return plain;
  EXPECT_EQ(run.at("eos_row_scale"), -2.0);
  return with_eos;
}

// The prompt as it was before the reference's collator: codes without BOS, EOS and delay.
EncodedSample prompt_of(const SafetensorsFile& file, const std::string& run) {
  EncodedSample prompt;
  prompt.input_ids = file.integers(run + ".in.input_ids");
  const IdMatrix columns = matrix(file, run + ".in.audio_out_ids");
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

void expect_ids(const IdMatrix& ours, const IdMatrix& want, const std::string& what) {
  ASSERT_EQ(ours.rows, want.rows) << what;
  ASSERT_EQ(ours.cols, want.cols) << what;
  for (std::int64_t j = 0; j < want.cols; ++j) {
    for (std::int64_t k = 0; k < want.rows; ++k) {
      ASSERT_EQ(ours.at(k, j), want.at(k, j)) << what << ": codebook " << k << " of column " << j;
    }
  }
}

void compare_clip(const SafetensorsFile& file, const Json& run) {
  const std::string name = run.at("name"), clip_name = name + ".audio_0";
  HiggsModel& model = model_of(run);
  SamplingOptions options;
  options.greedy = true;
  // The reference was given columns: the frames asked for, and 9 more for the delay, BOS and EOS.
  const std::int64_t max_columns = run.at("max_new_tokens");
  const GeneratedClip clip =
      generate(model, prompt_of(file, name), special_ids(model.config()), options, max_columns - 9);
  expect_ids(clip.columns, matrix(file, clip_name), clip_name);
  EXPECT_EQ(Json(Ids{clip.columns.cols}), run.at("audio_lengths"));
  EXPECT_EQ(clip.stopped, !run.at("eos_row_scale").is_null());
  const IdMatrix straight = revert_delay_pattern(clip.columns);
  expect_ids(straight, matrix(file, clip_name + "_reverted"), clip_name + "_reverted");
  EXPECT_EQ(Json(Ids{straight.cols}), run.at("reverted_lengths"));
  const IdMatrix trimmed = matrix(file, clip_name + "_reverted_clipped_trimmed");
  EXPECT_EQ(clip.codes.num_frames, trimmed.cols);
  EXPECT_EQ(Ids(clip.codes.values.begin(), clip.codes.values.end()), trimmed.values);
}

// The whole run as one batch: the prompt, the generated columns that the reference fed back (all but the
// last), and the text that followed. One forward pass then says what each step had to choose from.
PackedBatch unrolled(const SafetensorsFile& file, const HiggsModel& model, const std::string& run) {
  CollatedBatch batch;
  batch.input_ids = matrix(file, run + ".sequence");
  batch.attention_mask = IdMatrix(1, batch.input_ids.cols, 1);
  IdMatrix& columns = batch.audio_out_ids;
  const IdMatrix before = matrix(file, run + ".in.audio_out_ids");
  const bool spoke = file.contains(run + ".audio_0");
  const IdMatrix spoken = spoke ? matrix(file, run + ".audio_0") : IdMatrix();
  columns = IdMatrix(8, before.cols + std::max<std::int64_t>(spoken.cols - 1, 0));
  for (std::int64_t k = 0; k < 8; ++k) {
    for (std::int64_t j = 0; j < columns.cols; ++j) {
      columns.at(k, j) = j < before.cols ? before.at(k, j) : spoken.at(k, j - before.cols);
    }
  }
  batch.audio_out_ids_start = file.integers(run + ".in.audio_out_ids_start");
  if (spoke) batch.audio_out_ids_start.push_back(before.cols);
  const ModelConfig& config = model.config();
  return pack(batch, {*config.audio_in_token_id, *config.audio_out_token_id, config.num_codebooks});
}

// Text after the clip, or instead of one, is what the text head finds most likely. This program never
// generates any; its logits do.
void compare_text(const SafetensorsFile& file, const Json& run) {
  const std::string name = run.at("name");
  const HiggsModel& model = model_of(run);
  const Ids sequence = file.integers(name + ".sequence");
  const Ids produced(sequence.begin() + run.at("prompt_length").get<std::int64_t>(), sequence.end());
  EXPECT_EQ(Json(produced), run.at("text_tokens"));
  const Ids prompt = file.integers(name + ".in.input_ids");
  EXPECT_EQ(Ids(sequence.begin(), sequence.begin() + std::ssize(prompt)), prompt);

  const PackedBatch batch = unrolled(file, model, name);
  const at::Tensor likely = model_of(run).text_logits(model_of(run).forward(batch)).argmax(-1);
  const ModelConfig& config = model.config();
  std::int64_t row = batch.num_rows;
  for (std::size_t i = produced.size(); i-- > 0;) {
    if (produced[i] == *config.audio_out_token_id) {  // forced by <|audio_out_bos|>
      EXPECT_EQ(i, 0u);
      break;
    }
    --row;
    // After a clip <|audio_eos|> is forced.
    if (i > 0 && produced[i - 1] == *config.audio_out_token_id) continue;
    EXPECT_EQ(likely[row - 1].item<std::int64_t>(), produced[i]) << name << ": text token " << i;
  }
}

TEST(GenerateGolden, EveryRunIsTheReferences) {
  const SafetensorsFile file(test::whole_golden("boson/generate/generate.safetensors"));
  const Json index = read_json_file(golden("boson/generate/index.json"));
  EXPECT_EQ(index.at("static_equals_dynamic"), true);
  int compared = 0;
  for (const Json& run : index.at("runs")) {
    const std::string name = run.at("name");
    SCOPED_TRACE(name);
    // One run ended in an exception of the reference's (generation without a cache).
    if (run.at("status") != "ok" || !file.contains(name + ".sequence")) continue;
    if (file.contains(name + ".audio_0")) {
      compare_clip(file, run);
    } else {
      EXPECT_EQ(run.at("audio_lengths"), Json::array());
    }
    compare_text(file, run);
    ++compared;
  }
  EXPECT_EQ(compared, file.contains("text_prompt_static.sequence") ? 8 : 5);
}

// What each step had to choose from, in one forward pass over the columns of the run. The smallest margin
// between first and second is far above what the logits differ by, so no choice is a tie of rounding.
TEST(GenerateGolden, LogitsOfEveryStepAreTheReferences) {
  const SafetensorsFile file(golden("boson/generate/generate.safetensors"));
  const std::string run = "voice_clone_audio_prompt";
  HiggsModel model(golden("boson/model/base"), at::kFloat, at::kCPU);
  const PackedBatch batch = unrolled(file, model, run);
  const at::Tensor hidden = model.forward(batch);
  const at::Tensor margin = load(file, run + ".audio_step_margin");
  const std::int64_t steps = margin.size(0);
  const at::Tensor rows = batch.audio_out_rows.slice(0, batch.audio_out_rows.numel() - steps);
  const at::Tensor logits = model.audio_logits(hidden.index_select(0, rows));
  EXPECT_TRUE(logits.argmax(-1).equal(load(file, run + ".audio_step_argmax")));
  const at::Tensor first = logits.slice(0, 0, 4);
  EXPECT_TRUE(close(first.slice(2, 0, first.size(2), 8),
                    load(file, run + ".audio_step_logits_first4_every_8th"), kForwardTolerance,
                    "logits of the first four steps"));
  const at::Tensor top = std::get<0>(logits.topk(2, -1));
  const at::Tensor ours = top.select(-1, 0) - top.select(-1, 1);
  const test::Tolerance difference{5e-5, "float32: a small difference of two logits"};
  EXPECT_TRUE(close(ours, margin, difference, "audio_step_margin"));
  EXPECT_GT(margin.min().item<double>(), 20 * (ours - margin).abs().max().item<double>());
}

}  // namespace
}  // namespace higgs
