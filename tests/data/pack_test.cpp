#include "higgs/data/pack.h"

#include <gtest/gtest.h>

#include "higgs/data/dataset.h"

namespace higgs {
namespace {

constexpr std::int64_t kIn = 90, kOut = 91, kBos = 8, kEos = 9;

SpecialIds ids() {
  SpecialIds out;
  out.audio_in = kIn;
  out.audio_out = kOut;
  out.pad = 99;
  out.stream_bos = kBos;
  out.stream_eos = kEos;
  out.num_codebooks = 2;
  out.codebook_size = 8;
  return out;
}

EncodedSample sample(std::vector<std::int64_t> input, std::vector<std::int64_t> labels,
                     std::vector<Codes> codes) {
  EncodedSample out;
  out.input_ids = std::move(input);
  out.label_ids = std::move(labels);
  out.codes = std::move(codes);
  return out;
}

std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

using List = std::vector<std::int64_t>;

// Two codebooks, two frames: BOS, codes, EOS with the second codebook one behind make 5 columns.
const Codes kClip{2, 2, {1, 2, 3, 4}};

TEST(Pack, ExpandsPlaceholdersAndDropsPadding) {
  const EncodedSample a = sample({10, kOut, 11, 12}, {-100, kOut, 11, 12}, {kClip});
  const EncodedSample b = sample({20, 21}, {-100, 21}, {});
  const EncodedSample* both[] = {&a, &b};
  const PackedBatch batch = make_batch(both, ids(), std::vector<std::int64_t>{5, 6});

  EXPECT_EQ(batch.num_rows, 3 + 5 + 2);
  EXPECT_EQ(batch.cu_seqlens, (List{0, 8, 10}));
  EXPECT_EQ(values(batch.text_ids), (List{10, 11, 12, 20, 21}));
  EXPECT_EQ(values(batch.text_rows), (List{0, 6, 7, 8, 9}));
  EXPECT_EQ(values(batch.audio_rows), (List{1, 2, 3, 4, 5}));
  EXPECT_EQ(values(batch.audio_ids), (List{kBos, kBos, 1, kBos, 2, 3, kEos, 4, kEos, kEos}));
  EXPECT_EQ(values(batch.positions), (List{0, 1, 2, 3, 4, 5, 6, 7, 0, 1}));
  EXPECT_EQ(values(batch.kind), (List{0, 2, 2, 2, 2, 2, 0, 0, 0, 0}));
  EXPECT_EQ(values(batch.index.sample), (List{5, 5, 5, 5, 5, 5, 5, 5, 6, 6}));
}

// A clip that is heard becomes features, then its codes where the model is given these too.
TEST(Pack, FeaturesStandBeforeCodes) {
  EncodedSample heard = sample({10, kIn, 11}, {-100, -100, 11}, {kClip});
  heard.heard = {{1500, "", [] { return std::vector<float>(1500, 0.25f); }, {}}};  // 10 frames: 5, then 2
  const EncodedSample other = sample({20, 21}, {-100, 21}, {});
  const EncodedSample* both[] = {&other, &heard};
  SpecialIds with_tower = ids();
  with_tower.whisper = WhisperOptions{4, 12, 12 * 160};
  const PackedBatch batch = make_batch(both, with_tower);
  EXPECT_EQ(values(batch.kind), (List{0, 0, 0, 3, 3, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(values(batch.is_audio), (List{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(values(batch.text_rows), (List{0, 1, 2, 3, 4, 10}));
  EXPECT_EQ(batch.text_cu_seqlens, (List{0, 2, 6}));
  EXPECT_EQ(values(batch.feature_slots), (List{3, 4}));
  EXPECT_EQ(values(batch.feature_sources), (List{0, 1}));
  EXPECT_EQ(values(batch.features_valid), (List{10}));
  EXPECT_EQ(values(batch.text_target_rows), (List{0, 9}));

  with_tower.encode_audio_in = false;
  EXPECT_EQ(values(make_batch(both, with_tower).kind), (List{0, 0, 0, 3, 3, 0}));
}

TEST(Pack, ChunksOfALongClipFollowEachOther) {
  EncodedSample heard = sample({10, 1, kIn, 2, 11}, {-100, -100, -100, -100, 11}, {Codes{2, 0, {}}});
  heard.heard = {{3000, "", [] { return std::vector<float>(3000, 0.25f); }, {}}};  // 12 frames, then 7
  const EncodedSample* one = &heard;
  SpecialIds with_tower = ids();
  with_tower.encode_audio_in = false;
  with_tower.whisper = WhisperOptions{4, 12, 12 * 160};
  const PackedBatch batch = make_batch({&one, 1}, with_tower);
  EXPECT_EQ(values(batch.kind), (List{0, 0, 3, 3, 3, 0, 0, 3, 3, 0, 0}));
  EXPECT_EQ(values(batch.text_ids), (List{10, 1, 0, 0, 0, 2, 1, 0, 0, 2, 11}));
  EXPECT_EQ(values(batch.feature_sources), (List{0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.num_rows, 5 - 1 + heard_length(3000, *with_tower.whisper));
}

TEST(Pack, TargetsArePredictedByTheRowBefore) {
  const EncodedSample a = sample({10, kOut, 11, 12}, {-100, kOut, 11, 12}, {kClip});
  const EncodedSample b = sample({20, 21}, {20, 21}, {});
  const EncodedSample* both[] = {&a, &b};
  const PackedBatch batch = make_batch(both, ids());

  // 11 is predicted by the clip's last frame; the first token of a sample by nothing.
  EXPECT_EQ(values(batch.text_target_rows), (List{5, 6, 8}));
  EXPECT_EQ(values(batch.text_targets), (List{11, 12, 21}));
  EXPECT_EQ(batch.num_text_targets, 3);
  // Codebook 0: 1, 2, EOS; codebook 1 one later: 3, 4, EOS.
  EXPECT_EQ(values(batch.audio_target_rows), (List{1, 2, 3, 4}));
  EXPECT_EQ(values(batch.audio_targets), (List{1, -100, 2, 3, kEos, 4, -100, kEos}));
  EXPECT_EQ(batch.num_audio_targets, (List{3, 3}));
}

TEST(Pack, AudioOfOtherTurnsIsContextOnly) {
  const EncodedSample a = sample({kIn, 10, kOut}, {-100, -100, -100}, {kClip, kClip});
  const EncodedSample* one[] = {&a};
  const PackedBatch batch = make_batch(one, ids());
  EXPECT_EQ(values(batch.kind), (List{1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2}));
  EXPECT_EQ(values(batch.audio_out_rows), (List{6, 7, 8, 9, 10}));
  EXPECT_EQ(batch.audio_target_rows.numel(), 0);
  EXPECT_EQ(batch.num_audio_targets, (List{0, 0}));
}

// A model that doesn't encode audio-in tokens masks the placeholder: its row vanishes.
TEST(Pack, WithoutAudioInTokensThePlaceholderVanishes) {
  SpecialIds blind = ids();
  blind.encode_audio_in = false;
  const EncodedSample a = sample({10, kIn, 11}, {-100, -100, 11}, {kClip});
  const EncodedSample* one[] = {&a};
  const PackedBatch batch = make_batch(one, blind);
  EXPECT_EQ(values(batch.text_ids), (List{10, 11}));
  EXPECT_EQ(values(batch.positions), (List{0, 1}));
  EXPECT_EQ(batch.audio_rows.numel(), 0);
}

}  // namespace
}  // namespace higgs
