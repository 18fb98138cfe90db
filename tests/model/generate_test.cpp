// What generate() does beyond the goldens' greedy runs: sampling, its seed, the limit, and how far RAS looks
// back.
#include "higgs/model/generate.h"

#include <gtest/gtest.h>

#include <set>

#include "higgs/model/special_ids.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;

// An earlier clip in which every codebook says each code once.
EncodedSample prompt_with_every_code(const SpecialIds& ids) {
  EncodedSample prompt;
  prompt.input_ids = {3, ids.audio_out, 5, 6};
  Codes codes{ids.num_codebooks, ids.codebook_size, {}};
  for (std::int64_t k = 0; k < codes.num_codebooks; ++k) {
    for (std::int64_t t = 0; t < codes.num_frames; ++t) codes.values.push_back(static_cast<std::int16_t>(t));
  }
  prompt.codes.push_back(codes);
  return prompt;
}

// First code of the first codebook under several seeds, when only the most likely one passes top-k and one
// hit in a window over everything makes RAS draw again.
std::set<std::int64_t> first_codes(const char* base) {
  HiggsModel model(golden(base), at::kFloat, at::kCPU);
  const SpecialIds ids = special_ids(model.config());
  SamplingOptions options;
  options.top_k = 1;
  options.ras_window = 100000;
  options.ras_repeats = 1;
  std::set<std::int64_t> first;
  for (options.seed = 0; options.seed < 4; ++options.seed) {
    first.insert(generate(model, prompt_with_every_code(ids), ids, options, 1).columns.at(0, 1));
  }
  return first;
}

// boson_multimodal's window reaches into the clips of the prompt; transformers' doesn't.
TEST(Generate, RasWindowReachesIntoEarlierClipsInBosonsLayoutOnly) {
  EXPECT_GT(first_codes("boson/model/base").size(), 1u);
  EXPECT_EQ(first_codes("hf/model").size(), 1u);
}

TEST(Generate, SeedDecidesAndTheLimitHolds) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const SpecialIds ids = special_ids(model.config());
  EncodedSample prompt;
  prompt.input_ids = {1, 2, 3};
  const auto codes_of = [&](std::uint64_t seed) {
    SamplingOptions options;
    options.seed = seed;
    const GeneratedClip clip = generate(model, prompt, ids, options, 12);
    EXPECT_LE(clip.codes.num_frames, 12);
    if (!clip.stopped) {
      EXPECT_EQ(clip.codes.num_frames, 12);
    }
    EXPECT_EQ(clip.columns.cols, clip.codes.num_frames + 9);
    for (const std::int16_t code : clip.codes.values) EXPECT_TRUE(code >= 0 && code < 1024);
    return clip.codes.values;
  };
  EXPECT_EQ(codes_of(1), codes_of(1));
  EXPECT_NE(codes_of(1), codes_of(2));
}

}  // namespace
}  // namespace higgs
