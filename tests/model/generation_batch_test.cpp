// Clips spoken together are those spoken alone.
#include "higgs/model/generation_batch.h"

#include <gtest/gtest.h>

#include <map>

#include "higgs/model/adapter.h"
#include "higgs/model/special_ids.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;

struct Request {
  EncodedSample prompt;
  SamplingOptions options;
  std::int64_t max_frames;
};

// Prompts of different lengths, with and without an earlier clip, and limits that end them at different
// steps.
std::vector<Request> requests(const SpecialIds& ids, bool greedy) {
  std::vector<Request> all;
  for (std::int64_t i = 0; i < 7; ++i) {
    Request request;
    for (std::int64_t t = 0; t < 2 + 5 * i; ++t) request.prompt.input_ids.push_back(1 + (7 * t + i) % 50);
    if (i % 2 == 1) {
      request.prompt.input_ids.push_back(ids.audio_out);
      Codes codes{ids.num_codebooks, 3 + i, {}};
      for (std::int64_t j = 0; j < codes.num_codebooks * codes.num_frames; ++j)
        codes.values.push_back(static_cast<std::int16_t>((31 * j + i) % ids.codebook_size));
      request.prompt.codes.push_back(codes);
      request.prompt.input_ids.push_back(2);
    }
    request.options.greedy = greedy;
    request.options.seed = static_cast<std::uint64_t>(100 + i);
    request.max_frames = 4 + (i * 5) % 11;
    all.push_back(std::move(request));
  }
  return all;
}

// As `generate` does: a waiting clip takes the place of one that has ended.
std::map<std::size_t, GeneratedClip> together(HiggsModel& model, const SpecialIds& ids,
                                              const std::vector<Request>& all, std::size_t size) {
  GenerationBatch batch(model, ids, size);
  std::map<std::size_t, GeneratedClip> clips;
  std::size_t next = 0;
  while (true) {
    for (; !batch.full() && next < all.size(); ++next)
      batch.add(next, all[next].prompt, all[next].options, all[next].max_frames);
    if (batch.empty()) return clips;
    for (auto& finished : batch.step()) clips[finished.key] = std::move(finished.clip);
  }
}

void expect_same_as_alone(HiggsModel& model, bool greedy) {
  const SpecialIds ids = special_ids(model.config());
  const std::vector<Request> all = requests(ids, greedy);
  for (const std::size_t size : {1, 3, 8}) {
    const auto clips = together(model, ids, all, size);
    ASSERT_EQ(clips.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const GeneratedClip alone = generate(model, all[i].prompt, ids, all[i].options, all[i].max_frames);
      EXPECT_EQ(clips.at(i).columns.values, alone.columns.values) << "clip " << i << " of " << size;
      EXPECT_EQ(clips.at(i).codes.values, alone.codes.values) << i;
      EXPECT_EQ(clips.at(i).stopped, alone.stopped) << i;
    }
  }
}

TEST(GenerationBatch, GivesTheClipsOfEachAlone) {
  for (const char* base : {"hf/model", "boson/model/base"}) {
    SCOPED_TRACE(base);
    HiggsModel model(golden(base), at::kFloat, at::kCPU);
    expect_same_as_alone(model, true);
    expect_same_as_alone(model, false);
  }
}

TEST(GenerationBatch, GivesTheClipsOfEachAloneWithAnAdapterAndOnTheReferencePath) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const Adapter adapter(model, golden("hf/adapter_lora"));
  expect_same_as_alone(model, true);
  model.set_reference_path(true);
  expect_same_as_alone(model, true);
}

TEST(GenerationBatch, GivesTheClipsOfEachAloneWhereLayersPassOverAudio) {
  HiggsModel model(golden("boson/model/fast_forward"), at::kFloat, at::kCPU);
  expect_same_as_alone(model, true);
}

// At this temperature any id is as likely as another, so EOS comes from every codebook, early and late.
TEST(GenerationBatch, ReadyFramesAreNeverTakenBack) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU);
  const SpecialIds ids = special_ids(model.config());
  Request request = requests(ids, false)[1];
  request.options.temperature = 1000.0;
  request.options.top_k = 0;
  request.options.top_p = 1.0;
  int num_stopped = 0, num_limited = 0;
  for (request.options.seed = 0; request.options.seed < 40; ++request.options.seed) {
    GenerationBatch batch(model, ids, 1);
    batch.add(7, request.prompt, request.options, 60);
    Codes ready{ids.num_codebooks, 0, {}};
    std::vector<GenerationBatch::Finished> finished;
    while ((finished = batch.step()).empty()) ready = batch.ready(7, 0, batch.num_ready(7));
    const GeneratedClip& clip = finished.front().clip;
    (clip.stopped ? num_stopped : num_limited) += 1;
    ASSERT_LE(ready.num_frames, clip.codes.num_frames);
    EXPECT_GE(ready.num_frames + 1, clip.codes.num_frames) << "kept back for no reason";
    EXPECT_EQ(frames_of(clip.codes, 0, ready.num_frames).values, ready.values);
  }
  EXPECT_GT(num_stopped, 10);
  EXPECT_GT(num_limited, 2);
}

}  // namespace
}  // namespace higgs
