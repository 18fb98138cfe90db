// Batches of the loader are those that make_batch makes, in order, whoever made them.
#include "higgs/data/batch_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "dataset_case.h"
#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs {
namespace {

class BatchLoaderTest : public test::DatasetCase {
 protected:
  static std::string turn(const std::string& role, const std::string& content) {
    return R"({"role":")" + role + R"(","content":)" + content + "}";
  }
  static std::string clip(const std::string& url) {
    return R"({"type":"audio","audio_url":")" + url + R"("})";
  }

  // Texts of different lengths, so that no two samples are alike.
  Dataset texts(std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) {
      lines += R"({"messages":[)" + turn("user", "\"" + std::string(1 + 7 * i % 31, 'a' + i % 26) + "\"") +
               "," + turn("assistant", clip("c0.safetensors")) + "]}\n";
    }
    return load(lines);
  }
};

// Every tensor, bit for bit.
void expect_equal(const PackedBatch& a, const PackedBatch& b) {
  EXPECT_EQ(a.cu_seqlens, b.cu_seqlens);
  EXPECT_EQ(a.text_cu_seqlens, b.text_cu_seqlens);
  EXPECT_EQ(a.num_audio_targets, b.num_audio_targets);
  const auto tensors = [](const PackedBatch& batch) {
    return std::vector<at::Tensor>{batch.text_rows,
                                   batch.text_ids,
                                   batch.audio_rows,
                                   batch.audio_ids,
                                   batch.positions,
                                   batch.is_audio,
                                   batch.kind,
                                   batch.audio_out_rows,
                                   batch.index.sample,
                                   batch.index.position,
                                   batch.text_labels,
                                   batch.audio_labels,
                                   batch.text_target_rows,
                                   batch.text_targets,
                                   batch.audio_target_rows,
                                   batch.audio_targets,
                                   batch.audio_features,
                                   batch.features_valid,
                                   batch.feature_slots,
                                   batch.feature_sources};
  };
  const std::vector<at::Tensor> left = tensors(a), right = tensors(b);
  for (std::size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i].defined(), right[i].defined()) << i;
    EXPECT_TRUE(!left[i].defined() || left[i].equal(right[i])) << i;
  }
}

TEST_F(BatchLoaderTest, GivesWhatThePlanSaysWhateverTheNumberOfWorkers) {
  const Dataset dataset = texts(23);
  StepPlanner planner(dataset.lengths(), 3, {2, 2, 2}, {60});
  for (const int workers : {0, 1, 4}) {
    for (const int rank : {0, 1}) {
      BatchLoader loader(dataset, ids, planner, rank, at::kCPU, {workers, 1 << 20}, /*first_step=*/1);
      for (std::int64_t step = 1; step < planner.total_steps(); ++step) {
        const StepPlan plan = planner.plan(step);
        const LoadedStep loaded = loader.next();
        const auto& micros = plan.ranks[static_cast<std::size_t>(rank)];
        ASSERT_EQ(loaded.batches.size(), micros.size());
        EXPECT_EQ(loaded.imbalance, plan.imbalance());
        for (std::size_t i = 0; i < micros.size(); ++i) {
          expect_equal(loaded.batches[i].packed, make_batch(dataset, micros[i], ids));
          EXPECT_EQ(loaded.batches[i].micro.samples, micros[i].samples);
          EXPECT_EQ(loaded.batches[i].packed.index.sample[0].item<int>(), micros[i].places[0]);
        }
      }
    }
  }
}

// Ranks that know nothing of each other: each place of a step is in a batch of one of them.
TEST_F(BatchLoaderTest, RanksAreDisjointAndCoverTheStep) {
  const Dataset dataset = texts(23);
  const SplitOptions split{2, 2, 3};
  const std::int64_t total = 40;  // three full steps and one of four samples
  const StepPlanner planner(dataset.lengths(), 5, split, {total});
  std::vector<std::unique_ptr<BatchLoader>> loaders;
  for (const int rank : {0, 1, 2}) {
    loaders.push_back(std::make_unique<BatchLoader>(dataset, ids, planner, rank, at::kCPU,
                                                    PrefetchOptions{2, 1 << 20}, /*first_step=*/0));
  }
  for (std::int64_t step = 0; step < planner.total_steps(); ++step) {
    std::vector<int> places;
    for (const auto& loader : loaders) {
      for (const auto& [batch, micro] : loader->next().batches) {
        for (std::int64_t i = 0; i < batch.num_samples(); ++i) {
          places.push_back(batch.index.sample[batch.cu_seqlens[static_cast<std::size_t>(i)]].item<int>());
        }
      }
    }
    std::sort(places.begin(), places.end());
    const std::int64_t size = std::min(split.samples_per_step(), total - step * split.samples_per_step());
    std::vector<int> all(static_cast<std::size_t>(size));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(places, all) << "step " << step;
  }
}

// Recordings are read, resampled and made into features on several threads at once.
TEST_F(BatchLoaderTest, HeardClipsAreTheSameFromSeveralThreads) {
  ids.whisper = WhisperOptions{8, 100, 16000};
  ids.encode_audio_in = false;
  std::string lines;
  const int rates[] = {16000, 22050, 24000, 44100, 48000};
  for (int i = 0; i < 15; ++i) {
    const int rate = rates[i % 5];
    std::vector<float> wave(static_cast<std::size_t>(rate / 4 + 997 * i));
    for (std::size_t t = 0; t < wave.size(); ++t) {
      wave[t] = 0.3f * std::sin(static_cast<float>(t) * 0.01f * static_cast<float>(i + 1));
    }
    const std::string name = "heard" + std::to_string(i) + ".wav";
    write_wav(folder / name, {wave, rate});
    lines += R"({"messages":[)" + turn("user", "[" + clip(name) + "]") + "," + turn("assistant", "\"yes\"") +
             "]}\n";
  }
  const Dataset dataset = load(lines);
  StepPlanner planner(dataset.lengths(), 1, {2, 2, 1}, {60});
  BatchLoader loader(dataset, ids, planner, 0, at::kCPU, {6, 1 << 24}, 0);
  for (std::int64_t step = 0; step < planner.total_steps(); ++step) {
    const StepPlan plan = planner.plan(step);
    const LoadedStep loaded = loader.next();
    ASSERT_EQ(loaded.batches.size(), plan.ranks[0].size());
    for (std::size_t i = 0; i < loaded.batches.size(); ++i) {
      ASSERT_TRUE(loaded.batches[i].packed.audio_features.defined());
      expect_equal(loaded.batches[i].packed, make_batch(dataset, plan.ranks[0][i], ids));
    }
  }
}

// A rank may have no sample in the last step; it takes part all the same.
TEST_F(BatchLoaderTest, AStepWithoutSamplesIsAStep) {
  const Dataset dataset = texts(6);
  StepPlanner planner(dataset.lengths(), 0, {1, 1, 4}, {6});
  ASSERT_EQ(planner.total_steps(), 2);
  for (const int workers : {0, 2}) {
    std::size_t last = 0;
    for (int rank = 0; rank < 4; ++rank) {
      BatchLoader loader(dataset, ids, planner, rank, at::kCPU, {workers, 1 << 20}, 0);
      EXPECT_EQ(loader.next().batches.size(), 1u);
      const LoadedStep step = loader.next();
      EXPECT_NEAR(step.imbalance, planner.plan(1).imbalance(), 1e-12);
      last += step.batches.size();
    }
    EXPECT_EQ(last, 2u);
  }
}

// A recording that the audio tower hears is read when its batch is made.
TEST_F(BatchLoaderTest, AClipThatVanishesIsNamed) {
  ids.whisper = WhisperOptions{};
  ids.encode_audio_in = false;
  write_wav(folder / "heard.wav", {std::vector<float>(1600, 0.1f), 16000});
  const Dataset dataset = load(R"({"messages":[)" + turn("user", "[" + clip("heard.wav") + "]") + "," +
                               turn("assistant", "\"yes\"") + "]}\n");
  StepPlanner planner(dataset.lengths(), 0, {1, 1, 1}, {2});
  fs::remove(folder / "heard.wav");
  BatchLoader loader(dataset, ids, planner, 0, at::kCPU, {2, 1 << 20}, 0);
  const std::string message = test::user_error([&] { loader.next(); });
  EXPECT_NE(message.find("heard.wav"), std::string::npos) << message;
}

TEST(PrefetchBytes, AreShared) {
  const std::size_t alone = default_prefetch_bytes(1), eighth = default_prefetch_bytes(8);
  EXPECT_GE(alone, eighth);
  EXPECT_GE(eighth, std::size_t{64} << 20);
  EXPECT_LE(alone, std::size_t{2} << 30);
}

// A machine of 200 GB of which this process's groups get less.
TEST(PrefetchBytes, HeedTheLimitsOfTheProcessesGroups) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const test::TemporaryFolder root;
  const auto put = [&](const fs::path& path, const std::string& text) {
    fs::create_directories((root.path() / path).parent_path());
    write_file_atomically(root.path() / path, text);
  };
  put("proc/meminfo", "MemTotal: 300000000 kB\nMemAvailable:   204800000 kB\n");
  EXPECT_EQ(default_prefetch_bytes(1, root.path()), 2048 * kMiB);
  EXPECT_EQ(default_prefetch_bytes(4, root.path()), 1000 * kMiB);
  put("proc/self/cgroup", "4:memory:/job/7\n3:cpuset:/x\n0::/slice/unit\n");
  put("sys/fs/cgroup/slice/unit/memory.max", "max\n");
  EXPECT_EQ(default_prefetch_bytes(4, root.path()), 1000 * kMiB);
  put("sys/fs/cgroup/slice/memory.max", std::to_string(20000 * kMiB) + "\n");
  EXPECT_EQ(default_prefetch_bytes(4, root.path()), 100 * kMiB);
  put("sys/fs/cgroup/memory/job/7/memory.limit_in_bytes", std::to_string(16000 * kMiB) + "\n");
  EXPECT_EQ(default_prefetch_bytes(4, root.path()), 80 * kMiB);
}

}  // namespace
}  // namespace higgs
