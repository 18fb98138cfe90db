// Samples come back from disk as they were.
#include "higgs/data/sample_file.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "higgs/data/clip_file.h"
#include "support/paths.h"

namespace higgs {
namespace {

EncodedSample random_sample(unsigned seed) {
  std::mt19937 random(seed);
  EncodedSample sample;
  for (unsigned i = 0; i < seed % 40; ++i)
    sample.input_ids.push_back(static_cast<std::int64_t>(random() % 128256));
  if (seed % 3 != 0) {
    sample.label_ids = sample.input_ids;
    for (std::size_t i = 0; i < sample.label_ids->size(); i += 2) (*sample.label_ids)[i] = kIgnore;
  }
  for (unsigned i = 0; i < seed % 4; ++i) {
    Codes& codes = sample.codes.emplace_back();
    codes.num_codebooks = 8;
    codes.num_frames = static_cast<std::int64_t>(random() % 50);
    codes.values.resize(static_cast<std::size_t>(8 * codes.num_frames));
    for (std::int16_t& value : codes.values) value = static_cast<std::int16_t>(random() % 1024);
    sample.heard.emplace_back();
  }
  return sample;
}

void expect_equal(const EncodedSample& a, const EncodedSample& b) {
  EXPECT_EQ(a.input_ids, b.input_ids);
  EXPECT_EQ(a.label_ids, b.label_ids);
  ASSERT_EQ(a.codes.size(), b.codes.size());
  for (std::size_t i = 0; i < a.codes.size(); ++i) {
    EXPECT_EQ(a.codes[i].num_codebooks, b.codes[i].num_codebooks);
    EXPECT_EQ(a.codes[i].num_frames, b.codes[i].num_frames);
    EXPECT_EQ(a.codes[i].values, b.codes[i].values);
  }
  EXPECT_EQ(a.heard.size(), b.heard.size());
}

class SampleFiles : public ::testing::TestWithParam<bool> {
 protected:
  // On disk, or in memory.
  SampleFile make() const {
    return {GetParam() ? folder.path() : fs::path(), folder / "m.jsonl", ClipFolder(folder.path())};
  }
  test::TemporaryFolder folder;
};
INSTANTIATE_TEST_SUITE_P(OnDiskAndInMemory, SampleFiles, ::testing::Bool());

TEST_P(SampleFiles, GiveBackWhatTheyWereGiven) {
  constexpr unsigned kCount = 3000;  // several megabytes: more than is buffered
  SampleFile file = make();
  for (unsigned i = 0; i < kCount; ++i) {
    std::vector<Hash128> replies;
    for (unsigned k = 0; k < i % 3; ++k) replies.push_back({i, k});
    file.append(random_sample(i), {static_cast<std::int64_t>(7 * i), i + 1, replies});
  }
  file.finish();
  EXPECT_EQ(file.in_memory(), !GetParam());
  EXPECT_TRUE(list_folder(folder.path()).empty());  // nothing that a killed process would leave
  ASSERT_EQ(file.size(), kCount);
  std::vector<std::thread> threads;
  for (unsigned part = 0; part < 2; ++part) {
    threads.emplace_back([&, part] {
      for (unsigned i = part; i < kCount; i += 2) expect_equal(file.read(i), random_sample(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned i = 0; i < kCount; ++i) {
    EXPECT_EQ(file.length(i), 7 * i);
    EXPECT_EQ(file.where(i), (folder / "m.jsonl").string() + ":" + std::to_string(i + 1));
    ASSERT_EQ(file.replies(i).size(), i % 3);
    if (i % 3 == 2) {
      EXPECT_EQ(file.replies(i)[1], (Hash128{i, 1}));
    }
  }
}

TEST_P(SampleFiles, HashTellsSamplesApart) {
  SampleFile file = make();
  EncodedSample sample = random_sample(35);
  file.append(sample, {});
  file.append(sample, {5, 9, {}});
  ++sample.codes[2].values[3];
  file.append(sample, {});
  --sample.codes[2].values[3];
  sample.label_ids = std::nullopt;
  file.append(sample, {});
  file.finish();
  EXPECT_EQ(file.hash(0), file.hash(1));
  EXPECT_NE(file.hash(0), file.hash(2));
  EXPECT_NE(file.hash(0), file.hash(3));
}

TEST_P(SampleFiles, HeardClipsAreFoundAgain) {
  fs::copy_file(test::golden("hf/synthetic/sweep_24k.wav"), folder / "sweep.wav");
  AudioContent clip;
  clip.audio_url = "sweep.wav";
  clip.offset = 0.1;
  EncodedSample sample;
  sample.codes.push_back({8, 0, {}});
  sample.heard.push_back(heard_clip(clip, ClipFolder(folder.path()), "m.jsonl:1"));
  SampleFile file = make();
  file.append(sample, {1, 1, {}});
  file.finish();
  const HeardClip heard = file.read(0).heard.at(0);
  EXPECT_EQ(heard.num_samples, sample.heard[0].num_samples);
  EXPECT_EQ(heard.hash, sample.heard[0].hash);
  EXPECT_EQ(heard.read(), sample.heard[0].read());
  fs::remove(folder / "sweep.wav");
  EXPECT_NE(test::user_error([&] { heard.read(); }).find("m.jsonl:1"), std::string::npos);
}

}  // namespace
}  // namespace higgs
